rule blend_models:
    input:
        oof=run.each("predict", "oof.parquet", run.blended_models),
        test=run.each("predict", "test.parquet", run.blended_models),
        own=run.own_metric,
        summaries=collect(
            "<results>/models/{model}/model.json", model=run.blended_models
        ),
        folds="<results>/folds/folds.csv",
        train="<results>/prepare/train.parquet",
        targets="<results>/prepare/targets.parquet",
        target="<results>/prepare/target.json",
    output:
        blend="<results>/blend/blend.json",
        oof="<results>/blend/oof.parquet",
        test="<results>/blend/test.parquet",
        figures=report(
            directory("<results>/blend/figures"),
            patterns=["{figure}.png"],
            caption="captions/blend.rst",
            category="3 Blend",
            labels={"figure": "{figure}"},
        ),
    log:
        "<results>/logs/blend_models.log",
    benchmark:
        "<results>/benchmarks/blend_models.tsv"
    conda:
        "../envs/podium.yaml"
    threads: run.deciding_threads
    resources:
        mem_mb=run.memory,
    params:
        task=run.task,
        metric=run.section("metric"),
        thresholds=run.section("thresholds"),
        blend=run.section("blend"),
        models=run.blended_models,
        code=run.code_of("blend_models"),
    script:
        "../scripts/blend_models.py"
