"""Check the competition's files and write the manifest."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.prepare import prepare

    prepare(
        competition=snakemake.params.competition,
        task=snakemake.params.task,
        train=snakemake.output.train,
        test=snakemake.output.test,
        targets=snakemake.output.targets,
        target=snakemake.output.target,
        problems=snakemake.output.problems,
        job=job,
    )
