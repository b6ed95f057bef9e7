"""`kelmah bank`: read a bank's files, and write the files that order payouts."""

import sys
from pathlib import Path

from rich.progress import Progress

from kelmah.cli import operator
from kelmah.cli.ledger import run
from kelmah.kit.errors import KelmahError
from kelmah.services.payment import service
from kelmah.services.payment.providers.iso20022 import MAX_BYTES


def import_(file: Path, /) -> None:
    """Read a statement (camt.053) or a status report (pain.002). Read again, it does nothing.

    Args:
        file: the file as it came from the bank.
    """
    operator.act("bank import", "payment", target=file.name)
    try:
        with file.open("rb") as source:
            content = source.read(MAX_BYTES + 1)
        with Progress(disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("lines", total=None)
            outcomes = run(
                lambda context: service.import_file(
                    context, content, on_progress=lambda done, of: bar.update(task, completed=done, total=of)
                )
            )
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}")
    except KelmahError as error:
        sys.exit(f"{error.code}: {error}")
    operator.show_table(("outcome", "lines"), sorted(outcomes.items()))


def export(directory: Path, /) -> None:
    """Write the files (pain.001) that order what waits to be paid out. Each payout is in one file, for ever.

    Args:
        directory: where the bank takes them from; one that a crash left unwritten is written too.
    """
    if not directory.is_dir():
        sys.exit(f"{directory} is no directory")
    operator.act("bank export", "payment", target=directory.name)
    with Progress(disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("files", total=None)
        paths = run(
            lambda context: service.export_payouts(
                context, directory, on_progress=lambda done, of: bar.update(task, completed=done, total=of)
            )
        )
    for path in paths:
        operator.say(str(path))
