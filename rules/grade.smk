if run.solution:

    rule grade:
        input:
            solution=run.solution,
            submission="<results>/submission/submission.csv",
            predictions="<results>/blend/test.parquet",
            blend="<results>/blend/blend.json",
            test="<results>/prepare/test.parquet",
            target="<results>/prepare/target.json",
        output:
            grade="<results>/grade/grade.json",
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
            code=run.code_of("grade"),
        script:
            "../scripts/grade.py"
