"""The task `regression`."""
