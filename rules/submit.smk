rule write_submission:
    input:
        blend="<results>/blend/blend.json",
        predictions="<results>/blend/test.parquet",
        own=run.own_of_submitted,
        train="<results>/prepare/train.parquet",
        test="<results>/prepare/test.parquet",
        target="<results>/prepare/target.json",
        folds="<results>/folds/folds.json",
        sample=run.sample_submission,
        tables=run.tables,
        trained=run.each("train", "model.json", run.submitted_models),
    output:
        submission=report(
            "<results>/submission/submission.csv",
            caption="captions/submission.rst",
            category="4 Submission",
            labels={"what": "submission.csv"},
        ),
        manifest="<results>/submission/manifest.json",
        figures=report(
            directory("<results>/submission/figures"),
            patterns=["{figure}.png"],
            caption="captions/answers.rst",
            category="4 Submission",
            labels={"what": "{figure}"},
        ),
    log:
        "<results>/logs/write_submission.log",
    benchmark:
        "<results>/benchmarks/write_submission.tsv"
    conda:
        "../envs/podium.yaml"
    threads: run.deciding_threads
    params:
        config=run.result_config,
        code=run.code_of("write_submission"),
    script:
        "../scripts/write_submission.py"
