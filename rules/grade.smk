if run.solution:

    rule grade:
        input:
            **run.report_inputs,
            solution=run.solution,
            own=run.own_metric,
            predictions="<results>/blend/test.parquet",
            test="<results>/prepare/test.parquet",
            target="<results>/prepare/target.json",
        output:
            grade="<results>/grade/grade.json",
            html=report(
                "<results>/grade/report.html",
                caption="captions/report.rst",
                category="5 Report",
                labels={"what": "the whole story with the private score"},
            ),
        log:
            "<results>/logs/grade.log",
        benchmark:
            "<results>/benchmarks/grade.tsv"
        conda:
            "../envs/podium.yaml"
        params:
            competition=run.section("competition"),
            task=run.section("task"),
            metric=run.section("metric"),
            blend=run.section("blend"),
            config=run.result_config,
            results=run.results_folder,
            code=run.code_of("grade"),
        script:
            "../scripts/grade.py"

else:

    rule grade:
        input:
            run.missing_solution,
        log:
            "<results>/logs/grade.log",
        benchmark:
            "<results>/benchmarks/grade.tsv"
        conda:
            "../envs/podium.yaml"
        script:
            "../scripts/grade.py"
