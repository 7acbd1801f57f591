rule explore:
    input:
        train="<results>/prepare/train.parquet",
        test="<results>/prepare/test.parquet",
        targets="<results>/prepare/targets.parquet",
        target="<results>/prepare/target.json",
    output:
        summary="<results>/explore/summary.json",
        findings="<results>/explore/findings.json",
        figures=report(
            directory("<results>/explore/figures"),
            patterns=["{figure}.png"],
            caption="captions/explore.rst",
            category="1 Data",
            labels={"figure": "{figure}"},
        ),
    log:
        "<results>/logs/explore.log",
    benchmark:
        "<results>/benchmarks/explore.tsv"
    conda:
        "../envs/podium.yaml"
    params:
        task=run.task,
        tabular=run.tabular,
        folds=run.section("folds"),
        code=run.code_of("explore"),
    script:
        "../scripts/explore.py"
