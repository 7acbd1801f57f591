"""Split the training rows into folds, once, for all models."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.splitting import make_folds

    make_folds(
        train=snakemake.input.train,
        targets=snakemake.input.targets,
        target=snakemake.input.target,
        task=snakemake.params.task,
        folds=snakemake.params.folds,
        out=snakemake.output.folds,
        summary=snakemake.output.summary,
        job=job,
    )
