rule predict_fold:
    input:
        unpack(run.prediction_inputs),
        weights="<results>/train/{model}/fold{fold}/seed{seed}/weights.safetensors",
        model="<results>/train/{model}/fold{fold}/seed{seed}/model.json",
    output:
        oof="<results>/predict/{model}/fold{fold}/seed{seed}/oof.parquet",
        test="<results>/predict/{model}/fold{fold}/seed{seed}/test.parquet",
    log:
        "<results>/logs/predict_fold/{model}/fold{fold}-seed{seed}.log",
    benchmark:
        "<results>/benchmarks/predict_fold/{model}/fold{fold}-seed{seed}.tsv"
    conda:
        "../envs/podium.yaml"
    threads: run.threads
    resources:
        gpu=run.gpus_per_job,
        mem_mb=run.memory,
        runtime=run.minutes,
    params:
        views=run.views,
        task=run.task,
        code=run.code_of("predict_fold"),
    script:
        "../scripts/predict_fold.py"
