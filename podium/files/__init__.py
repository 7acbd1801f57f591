"""The competition's files: found, read and checked; what is wrong names file, row and value."""
