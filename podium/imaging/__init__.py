"""Pictures as such: which are alike, what they look like, worse ones and filtered ones."""
