"""Write the submission and the manifest that it can be reproduced from; draw what it says."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.drawing.answers import draw_beside
    from podium.submission import write_submission

    answers = write_submission(
        blend=snakemake.input.blend,
        prediction=snakemake.input.predictions,
        train=snakemake.input.train,
        test=snakemake.input.test,
        target=snakemake.input.target,
        folds=snakemake.input.folds,
        sample=snakemake.input.sample,
        files=list(snakemake.input.tables),
        own=list(snakemake.input.own),
        trained=list(snakemake.input.trained),
        config=snakemake.params.config,
        outputs=dict(snakemake.output.items()),
        job=job,
    )
    draw_beside(answers, snakemake.output.figures, job)
