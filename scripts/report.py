"""Tell the whole story of a run on one page."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.report import render

    render(
        inputs=dict(snakemake.input.items()),
        config=snakemake.params.config,
        results=snakemake.params.results,
        out=snakemake.output.html,
        tracking=snakemake.config.get("tracking") or {},
        job=job,
    )
