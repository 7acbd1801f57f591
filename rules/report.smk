rule report:
    input:
        **run.report_inputs,
    output:
        html=report(
            "<results>/report/report.html",
            caption="captions/report.rst",
            category="5 Report",
            labels={"what": "the whole story on one page"},
        ),
    log:
        "<results>/logs/report.log",
    benchmark:
        "<results>/benchmarks/report.tsv"
    conda:
        "../envs/podium.yaml"
    params:
        config=run.result_config,
        results=run.results_folder,
        code=run.code_of("report"),
    script:
        "../scripts/report.py"
