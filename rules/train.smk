rule train_fold:
    input:
        unpack(run.training_inputs),
        # That it was checked counts, not when: a new check trains nothing again.
        checked=ancient("<results>/models/{model}/model.json"),
        own=run.own_files,
        tuned=run.tuned_params,
    output:
        weights="<results>/train/{model}/fold{fold}/seed{seed}/weights.safetensors",
        history="<results>/train/{model}/fold{fold}/seed{seed}/history.csv",
        model="<results>/train/{model}/fold{fold}/seed{seed}/model.json",
    log:
        "<results>/logs/train_fold/{model}/fold{fold}-seed{seed}.log",
    benchmark:
        "<results>/benchmarks/train_fold/{model}/fold{fold}-seed{seed}.tsv"
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
        tabular=run.tabular_of,
        categorical=run.categorical_of,
        state=run.training_state,
        code=run.code_of("train_fold"),
    script:
        "../scripts/train_fold.py"
