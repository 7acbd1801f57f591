"""Decode and resize a part's pictures once for all models of a size."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.cache import cache_images, parse_key

    cache_images(
        manifest=snakemake.input.manifest,
        out=snakemake.output.images,
        job=job,
        **parse_key(snakemake.wildcards.cache)._asdict(),
    )
