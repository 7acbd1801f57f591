"""Train one model on one fold."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.training.fold import train_fold

    train_fold(
        inputs={k: v for k, v in snakemake.input.items() if k not in ("tuned", "checked")},
        tuned=next(iter(snakemake.input.tuned), None),
        model=snakemake.params.model,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        tabular=snakemake.params.tabular,
        categorical=snakemake.params.categorical,
        fold=int(snakemake.wildcards.fold),
        seed=int(snakemake.wildcards.seed),
        code=snakemake.params.code,
        state=snakemake.params.state,
        outputs=dict(snakemake.output.items()),
        job=job,
    )
