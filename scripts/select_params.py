"""Choose every fold's parameters from the trials' scores on the other folds."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.tuning import select_params

    select_params(
        workers=list(snakemake.input.workers),
        metric=snakemake.params.metric,
        folds=snakemake.params.folds,
        repeats=snakemake.params.repeats,
        out=snakemake.output.best,
        trials_out=snakemake.output.trials,
        job=job,
    )
