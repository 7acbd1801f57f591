"""Write the files of a competition that is made, not downloaded."""

from podium.jobs import open_job

with open_job(snakemake):
    from podium.demos import make_competition

    make_competition(source=snakemake.params.source, folder=snakemake.params.folder)
