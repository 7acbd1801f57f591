if run.source:

    rule make_competition:
        output:
            files=run.competition_files,
            pictures=[directory(folder) for folder in run.picture_folders],
        log:
            "<results>/logs/make_competition.log",
        benchmark:
            "<results>/benchmarks/make_competition.tsv"
        conda:
            "../envs/podium.yaml"
        params:
            source=run.source,
            folder=run.root_of,
            code=run.code_of("make_competition"),
        script:
            "../scripts/make_competition.py"


rule prepare:
    input:
        tables=run.tables,
        pictures=run.picture_folders,
        targets=run.target_folders,
    output:
        train="<results>/prepare/train.parquet",
        test="<results>/prepare/test.parquet",
        targets="<results>/prepare/targets.parquet",
        target="<results>/prepare/target.json",
        problems=report(
            "<results>/prepare/problems.csv",
            caption="captions/problems.rst",
            category="1 Data",
            labels={"what": "problems of the files"},
        ),
    log:
        "<results>/logs/prepare.log",
    benchmark:
        "<results>/benchmarks/prepare.tsv"
    conda:
        "../envs/podium.yaml"
    threads: 8
    params:
        competition=run.prepared,
        files=run.picture_files,
        task=run.task,
        code=run.code_of("prepare"),
    script:
        "../scripts/prepare.py"


rule cache_images:
    input:
        manifest="<results>/prepare/{part}.parquet",
    output:
        images="<results>/cache/{cache}/{part}.npy",
    log:
        "<results>/logs/cache_images/{cache}-{part}.log",
    benchmark:
        "<results>/benchmarks/cache_images/{cache}-{part}.tsv"
    # Everything that trains waits for it.
    priority: 10
    conda:
        "../envs/podium.yaml"
    threads: run.reading_threads
    params:
        code=run.code_of("cache_images"),
    script:
        "../scripts/cache_images.py"


rule check_model:
    input:
        target="<results>/prepare/target.json",
        targets="<results>/prepare/targets.parquet",
        train="<results>/prepare/train.parquet",
        sample=run.sample_submission,
    output:
        summary="<results>/models/{model}/model.json",
    log:
        "<results>/logs/check_model/{model}.log",
    benchmark:
        "<results>/benchmarks/check_model/{model}.tsv"
    # What is wrong with one model is told before another is tuned or trained.
    priority: 7
    conda:
        "../envs/podium.yaml"
    params:
        model=run.network_of,
        start=run.start_of,
        scales=run.scales_of,
        task=run.section("task"),
        metric=run.section("metric"),
        table_format=run.table_format,
        code=run.code_of("check_model"),
    script:
        "../scripts/check_model.py"


rule embed_images:
    input:
        train="<results>/cache/{cache}/train.npy",
        test="<results>/cache/{cache}/test.npy",
        own=run.own_backbone,
    output:
        train="<results>/embed/{backbone}/{cache}/{view}/train.npy",
        test="<results>/embed/{backbone}/{cache}/{view}/test.npy",
    log:
        "<results>/logs/embed_images/{backbone}/{cache}-{view}.log",
    benchmark:
        "<results>/benchmarks/embed_images/{backbone}/{cache}-{view}.tsv"
    # Tuning waits for it, and training for tuning.
    priority: 8
    conda:
        "../envs/podium.yaml"
    threads: run.threads
    resources:
        gpu=run.gpus_per_job,
        mem_mb=run.memory,
        runtime=run.minutes,
    params:
        model=run.backbone_of,
        code=run.code_of("embed_images"),
    script:
        "../scripts/embed_images.py"
