"""Explore the prepared data: numbers, findings, figures."""

from podium.jobs import open_job

with open_job(snakemake) as job:
    from podium.explore import explore

    explore(
        train=snakemake.input.train,
        test=snakemake.input.test,
        targets=snakemake.input.targets,
        target_info=snakemake.input.target,
        task_choice=snakemake.params.task,
        tabular=snakemake.params.tabular,
        folds=snakemake.params.folds,
        summary_out=snakemake.output.summary,
        findings_out=snakemake.output.findings,
        figures_out=snakemake.output.figures,
        job=job,
    )
