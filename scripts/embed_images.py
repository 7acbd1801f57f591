"""Compute a frozen backbone's output in one view of every picture."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.embedding import embed_images

    embed_images(
        images=dict(snakemake.input.items()),
        model=snakemake.params.model,
        view=snakemake.wildcards.view,
        outputs=dict(snakemake.output.items()),
        job=job,
    )
