"""Build a model once, before anything is trained."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.checking import check_model

    check_model(
        model=snakemake.params.model,
        start=snakemake.params.start,
        task=snakemake.params.task,
        target=snakemake.input.target,
        targets=snakemake.input.targets,
        metric=snakemake.params.metric,
        table_format=snakemake.params.table_format,
        train=snakemake.input.train,
        sample=snakemake.input.sample,
        scales=snakemake.params.scales,
        out=snakemake.output.summary,
        job=job,
    )
