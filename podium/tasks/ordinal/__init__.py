"""The task `ordinal`."""
