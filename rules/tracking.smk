# MLflow is a sink: a sender beside the workflow forwards what the jobs spool. Snakemake runs these
# hooks in its main process only, never for a dry run, --lint or --report.
onstart:
    run.forget_stops()
    run.start_tracking()


onsuccess:
    run.finish_tracking("FINISHED")
    run.tell_results()


onerror:
    run.finish_tracking("FAILED")
    run.tell_stops()
