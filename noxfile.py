"""The project's checks, one session each: `make nox`, or `make nox ARGS='-s lint types'`.

All run in `.venv`, which `make setup` builds with uv from requirements.lock: what is checked is what is used, and
a session costs only its own time.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "imports", "tests", "e2e", "contracts", "migrations", "docs"]

ROOT = Path(__file__).parent
BIN = ROOT / ".venv" / "bin"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def run(session: nox.Session, tool: str, *arguments: str) -> None:
    """Run a program of `.venv`, which is made first if need be."""
    if not BIN.exists():
        session.run("make", "setup", external=True)
    session.run(str(BIN / tool), *arguments, external=True)


@nox.session
def fmt(session: nox.Session) -> None:
    """Format the code and mend what can be mended."""
    run(session, "ruff", "check", "--fix", ".")
    run(session, "ruff", "format", ".")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and spelling."""
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    run(session, "codespell")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    run(session, "mypy", *session.posargs)


@nox.session
def imports(session: nox.Session) -> None:
    """Check that rooms import only what they may."""
    run(session, "lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the unit, integration and contract tests."""
    run(session, "pytest", *(session.posargs or ["tests/unit", "tests/integration", "tests/contract"]))


@nox.session
def e2e(session: nox.Session) -> None:
    """Run the platform as processes and use it through the gateway."""
    run(session, "pytest", *(session.posargs or ["-m", "slow or not slow", "tests/e2e"]))


@nox.session
def coverage(session: nox.Session) -> None:
    """Check that the tests of money take every branch of the payment service."""
    # Old books and projections are tested where they are moved and made anew.
    elsewhere = ["legacy/test_move.py", "legacy/test_write_back.py", "events/test_projections.py"]
    paths = ["tests/unit/payment", "tests/integration/payment", *(f"tests/integration/{one}" for one in elsewhere)]
    run(session, "pytest", "--cov", "--cov-config=pyproject.toml", *paths, *session.posargs)


@nox.session
def mutate(session: nox.Session) -> None:
    """Change ledger and escrow in small ways, and check that the tests notice: nox -s mutate -- --sample 200."""
    run(session, "python", "-m", "tests.mutation", *session.posargs)


@nox.session
def contracts(session: nox.Session) -> None:
    """Check that the committed schemas of events and APIs are those of the code."""
    run(session, "python", "-m", "kelmah.cli", "contracts", "export", "--check")


@nox.session
def migrations(session: nox.Session) -> None:
    """Check the revisions of the legacy Postgres: up, down, and `alembic check`."""
    run(session, "pytest", "-m", "slow or not slow", "tests/integration/legacy/test_schema.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Check that links between files lead somewhere and that .env.example is fresh."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    broken = [f"{page.relative_to(ROOT)}: {link}" for page in pages for link in broken_links(page)]
    if broken:
        session.error("broken links:\n" + "\n".join(broken))
    run(session, "python", "-m", "kelmah.cli", "env-example", "--check")


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that name no file. Code is not looked at."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link for link in LINK.findall(text) if not re.match(r"[a-z][a-z0-9+.-]*:|#", link)]
    return [link for link in links if not (page.parent / link.partition("#")[0]).exists()]


@nox.session
def audit(session: nox.Session) -> None:
    """Look for dependencies with known faults and for secrets in the files."""
    files = session.run("git", "ls-files", external=True, silent=True)
    # Keys that tests use and that the baseline lists are known; any other fails.
    run(session, "detect-secrets-hook", "--baseline", ".secrets.baseline", *str(files).splitlines())
    report = session.run(
        *(str(BIN / "pip-audit"), "--requirement", "requirements.lock", "--require-hashes", "--disable-pip"),
        *("--progress-spinner", "off", "--timeout", "30", "--format", "json"),
        external=True,
        silent=True,
        stderr=subprocess.DEVNULL,
        success_codes=range(256),
    )
    try:
        dependencies = json.loads(str(report))["dependencies"]
    except ValueError:
        dependencies = []
    faults = [
        f"{item['name']} {item['version']}: {fault['id']}" for item in dependencies for fault in item.get("vulns", ())
    ]
    if faults:
        session.error("dependencies with known vulnerabilities:\n" + "\n".join(faults))
    # Without an answer pip-audit says "no known vulnerabilities found" and ends well; that is not the truth.
    unknown = [item["name"] for item in dependencies if "skip_reason" in item]
    if dependencies and not unknown:
        session.log(f"{len(dependencies)} dependencies audited, none with a known vulnerability")
        return
    reason = (
        f"NOT AUDITED: the advisory service knew {len(dependencies) - len(unknown)} of {len(dependencies)} packages"
    )
    if os.environ.get("CI"):
        session.error(reason)
    session.skip(reason)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure; give the names of what to measure, else all: nox -s bench -- ledger search."""
    files = [f"tests/bench/bench_{name}.py" for name in session.posargs] or ["tests/bench"]
    run(session, "pytest", "-s", "-o", "python_files=bench_*.py", "--timeout", "3600", *files)
