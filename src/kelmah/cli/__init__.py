"""The `kelmah` command: the composition root that builds settings and starts every process."""
