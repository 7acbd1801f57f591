"""Compare the blending methods across folds, choose one and apply it."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.blending.ensemble import blend_models

    blend_models(
        models=snakemake.params.models,
        oof_parts=list(snakemake.input.oof),
        test_parts=list(snakemake.input.test),
        summaries=dict(zip(snakemake.params.models, snakemake.input.summaries, strict=True)),
        fold_map=snakemake.input.folds,
        train=snakemake.input.train,
        targets=snakemake.input.targets,
        target=snakemake.input.target,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        thresholds=snakemake.params.thresholds,
        blend=snakemake.params.blend,
        outputs=dict(snakemake.output.items()),
        job=job,
    )
