rule score_oof:
    input:
        oof=run.oof_parts,
        histories=run.histories,
        own=run.own_metric,
        folds="<results>/folds/folds.csv",
        train="<results>/prepare/train.parquet",
        targets="<results>/prepare/targets.parquet",
        target="<results>/prepare/target.json",
    output:
        metrics="<results>/score/{model}/metrics.json",
        figures=report(
            directory("<results>/score/{model}/figures"),
            patterns=["{figure}.png"],
            caption="captions/score.rst",
            category="2 Models",
            subcategory="{model}",
            labels={"figure": "{figure}"},
        ),
    log:
        "<results>/logs/score_oof/{model}.log",
    benchmark:
        "<results>/benchmarks/score_oof/{model}.tsv"
    conda:
        "../envs/podium.yaml"
    threads: run.deciding_threads
    params:
        model=run.model_of,
        task=run.task,
        metric=run.section("metric"),
        thresholds=run.section("thresholds"),
        blend=run.section("blend"),
        code=run.code_of("score_oof"),
    script:
        "../scripts/score_oof.py"
