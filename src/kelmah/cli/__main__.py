"""`python -m kelmah.cli` is `kelmah`."""

from kelmah.cli import main

main()
