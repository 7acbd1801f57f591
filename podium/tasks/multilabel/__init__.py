"""The task `multilabel`."""
