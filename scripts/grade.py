"""Grade the submission against the true targets of the test rows."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.grading import grade

    grade(
        solution=snakemake.input.solution,
        prediction=snakemake.input.predictions,
        blend=snakemake.input.blend,
        test=snakemake.input.test,
        target=snakemake.input.target,
        competition=snakemake.params.competition,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        settings=snakemake.params.blend,
        out=snakemake.output.grade,
        job=job,
    )
