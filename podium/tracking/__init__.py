"""Tracking: jobs write to a spool (`spool`), one sender forwards it to MLflow (`sender`).

No job ever imports mlflow: that costs seconds, and several processes opening a fresh SQLite
store at once crash in its migrations. What a run writes is in `results/<competition>/tracking`:

- `spool/<run>.jsonl`: one file per job and one per invocation of the workflow, a line per event;
- `sent/`: those files once MLflow has them wholly;
- `sent.json`: how far the sender is; `settings.json`: where it sends to; `sender.log`.
"""
