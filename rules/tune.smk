rule tune_model:
    input:
        unpack(run.tuning_inputs),
        # That it was checked counts, not when: a new check trains nothing again.
        checked=ancient("<results>/models/{model}/model.json"),
        own=run.own_files,
    output:
        worker="<results>/tune/{model}/worker{worker}.json",
    log:
        "<results>/logs/tune_model/{model}/worker{worker}.log",
    benchmark:
        "<results>/benchmarks/tune_model/{model}/worker{worker}.tsv"
    # A model that is tuned has the longest way to go: it starts first.
    priority: 6
    conda:
        "../envs/podium.yaml"
    threads: run.threads
    resources:
        gpu=run.gpus_per_job,
        mem_mb=run.memory,
        runtime=run.minutes,
    params:
        model=run.model_of,
        task=run.task,
        metric=run.section("metric"),
        tuning=run.section("tuning"),
        tabular=run.tabular_of,
        categorical=run.categorical_of,
        state=run.tuning_state,
        code=run.code_of("tune_model"),
    script:
        "../scripts/tune_model.py"


rule select_params:
    input:
        workers=run.tuning_workers,
    output:
        best="<results>/tune/{model}/best_params.json",
        trials="<results>/tune/{model}/trials.csv",
    log:
        "<results>/logs/select_params/{model}.log",
    benchmark:
        "<results>/benchmarks/select_params/{model}.tsv"
    priority: 6
    conda:
        "../envs/podium.yaml"
    params:
        metric=run.section("metric"),
        folds=len(run.folds),
        repeats=run.section("folds", "repeats"),
        code=run.code_of("select_params"),
    script:
        "../scripts/select_params.py"
