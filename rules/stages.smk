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
        run.every_training,


rule predict:
    input:
        run.every_prediction,


rule score:
    input:
        run.every_score,


rule blend:
    input:
        "<results>/blend/blend.json",


rule submit:
    input:
        "<results>/submission/submission.csv",
