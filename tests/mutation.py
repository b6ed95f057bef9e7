"""Changes ledger and escrow in small ways and counts what the tests notice: `python -m tests.mutation`.

    python -m tests.mutation                    all mutants; what was found before stands, so it goes on where it ended
    python -m tests.mutation books escrow_rows  those of some groups
    python -m tests.mutation --sample 200       so many of all, chosen by --seed

Each group has tests of its own, narrow ones, since they run once for each mutant. mutmut works on a copy in
`.mutants/`, which is made anew when a file that is mutated, or one of its tests, has changed.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mutmut.stats import status_by_exit_code

from kelmah.cli.backends import mongo, open_home, redis
from kelmah.cli.processes import Supervisor

ROOT = Path(__file__).parent.parent
PLACE = ROOT / ".mutants"
MUTATED, TESTS = "src/kelmah/services/payment/", "tests/"
LEAST = 85
#: A mutant that never ends, or brings the interpreter down, is noticed.
NOTICED = {"killed", "timeout", "segfault"}


class Group(NamedTuple):
    """Files that are mutated, and the tests that have to notice."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = {
    "entries": Group(("documents/entries.py", "service/ledger.py"), ("unit/payment/test_postings.py",)),
    "books": Group(("documents/ledger.py",), ("integration/payment/test_books.py",)),
    "escrow_rows": Group(("documents/escrows.py",), ("integration/payment/test_escrow_rows.py",)),
    "escrow": Group(
        ("service/holdings.py", "service/escrows.py"),
        ("integration/payment/test_holdings.py",),
    ),
}


def prepare(name: str) -> Path:
    """The place where a group is mutated; one of before is kept if nothing that counts has changed."""
    group, place = GROUPS[name], PLACE / name
    files = [MUTATED + one for one in group.files]
    tests = [TESTS + one for one in group.tests]
    if any(
        not (place / one).exists() or (place / one).read_bytes() != (ROOT / one).read_bytes() for one in files + tests
    ):
        shutil.rmtree(place, ignore_errors=True)
        for folder in ("src", "tests"):
            shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
        settings = {"source_paths": ["src"], "only_mutate": files, "pytest_add_cli_args_test_selection": tests}
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        (place / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]), encoding="utf-8")
    return place


def results(name: str) -> dict[str, str]:
    """What became of each mutant of a group."""
    found: dict[str, str] = {}
    for one in GROUPS[name].files:
        path = PLACE / name / "mutants" / f"{MUTATED}{one}.meta"
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"] if path.exists() else {}
        found |= {mutant: status_by_exit_code[code] for mutant, code in codes.items()}
    return found


async def mutmut(place: Path, environ: dict[str, str], *names: str) -> int:
    """Run it on these mutants, or on all that it has not tried yet. What it says goes into a file."""
    with (place / "mutmut.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("mutmut")), "run", *names),
            cwd=place, env=os.environ | environ, stdout=log, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        return await process.wait()


async def mutate(names: list[str], *, sample: int | None, seed: int) -> dict[str, dict[str, str]]:
    """Try the mutants of these groups; what became of each that was chosen."""
    async with open_home(None) as home, Supervisor(pass_fds=(home.lock_fd,)) as supervisor:
        servers = {f"KELMAH_TEST_{kind.__name__.rpartition('.')[2].upper()}_URL": kind.start for kind in (mongo, redis)}
        environ = {
            variable: (await start(supervisor, home, url=os.environ.get(variable))).url
            for variable, start in servers.items()
        }
        if sample is None:
            for name in names:
                if await mutmut(prepare(name), environ):
                    sys.exit(f"mutmut failed: see {PLACE / name / 'mutmut.log'}")
            return {name: results(name) for name in names}
        for name in names:  # none is named so: it makes the mutants, and ends
            await mutmut(prepare(name), environ, "-")
        every = [(name, mutant) for name in names for mutant in results(name)]
        chosen = random.Random(seed).sample(every, min(sample, len(every)))
        tried: dict[str, dict[str, str]] = {}
        for name in names:
            mutants = [mutant for group, mutant in chosen if group == name]
            if mutants and await mutmut(PLACE / name, environ, *mutants):
                sys.exit(f"mutmut failed: see {PLACE / name / 'mutmut.log'}")
            tried[name] = {mutant: results(name)[mutant] for mutant in mutants}
        return tried


def report(tried: dict[str, dict[str, str]]) -> float:
    """Print what was noticed, and what was not; the score in percent."""
    noticed = total = 0
    for name, found in tried.items():
        for mutant, status in found.items():
            if status not in NOTICED:
                print(f"{status}: {mutant}")
        count = Counter(found.values())
        noticed, total = noticed + sum(count[one] for one in NOTICED), total + count.total()
        print(f"{name}: " + ", ".join(f"{number} {status}" for status, number in sorted(count.items())))
    score = 100 * noticed / max(total, 1)
    print(f"{noticed} of {total} mutants noticed: {score:.1f} % (at least {LEAST} % are wanted)")
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutate ledger and escrow.")
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; all unless given")
    parser.add_argument("--sample", type=int, help="try so many mutants only")
    parser.add_argument("--seed", type=int, default=6, help="which ones")
    parser.add_argument("--report", action="store_true", help="only say what was found so far")
    given = parser.parse_args()
    names = given.groups or list(GROUPS)
    if given.report:
        tried = {name: results(name) for name in names}
    else:
        tried = asyncio.run(mutate(names, sample=given.sample, seed=given.seed))
    sys.exit(report(tried) < LEAST)


if __name__ == "__main__":
    main()
