# One target per stage: `snakemake --cores all explore`, `... train`, `... blend`.
rule data:
    input:
        "<results>/prepare/train.parquet",


rule folds:
    input:
        "<results>/folds/folds.csv",


rule tune:
    input:
        run.every_tuning,


rule train:
    input:
        run.each("train", "weights.safetensors"),


rule predict:
    input:
        run.each("predict", "oof.parquet"),


rule score:
    input:
        collect("<results>/score/{model}/metrics.json", model=run.models),


rule blend:
    input:
        "<results>/blend/blend.json",


rule submit:
    input:
        "<results>/submission/submission.csv",
