"""Work on a model's study until it has all its trials."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.tuning import tune_model

    tune_model(
        inputs={k: v for k, v in snakemake.input.items() if k != "checked"},
        model=snakemake.params.model,
        task=snakemake.params.task,
        metric=snakemake.params.metric,
        tuning=snakemake.params.tuning,
        tabular=snakemake.params.tabular,
        categorical=snakemake.params.categorical,
        code=snakemake.params.code,
        state=snakemake.params.state,
        out=snakemake.output.worker,
        job=job,
    )
