"""Predict a fold's out-of-fold rows and the test rows."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.predicting import predict_fold

    predict_fold(
        inputs=dict(snakemake.input.items()),
        model_name=snakemake.wildcards.model,
        task=snakemake.params.task,
        view_names=snakemake.params.views,
        outputs=dict(snakemake.output.items()),
        job=job,
    )
