"""Grade the submission against the true targets of the test rows, and tell it in the report."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.grading import grade
    from podium.report import render

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
    render(
        inputs=dict(snakemake.input.items()),
        config=snakemake.params.config,
        results=snakemake.params.results,
        out=snakemake.output.html,
        grade=snakemake.output.grade,
        tracking=snakemake.config.get("tracking") or {},
        job=job,
    )
