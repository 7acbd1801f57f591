"""Score one model's out-of-fold predictions."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.scoring import score_oof

    score_oof(
        model=snakemake.wildcards.model,
        oof_parts=list(snakemake.input.oof),
        histories=list(snakemake.input.histories),
        fold_map=snakemake.input.folds,
        train=snakemake.input.train,
        targets=snakemake.input.targets,
        target=snakemake.input.target,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        thresholds=snakemake.params.thresholds,
        blend=snakemake.params.blend,
        settings=snakemake.params.model,
        outputs=dict(snakemake.output.items()),
        job=job,
    )
