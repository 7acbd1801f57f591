# MLflow is a sink: a sender beside the workflow forwards what the jobs spool.
onstart:
    run.start_tracking()


onsuccess:
    run.finish_tracking()


onerror:
    run.finish_tracking()
