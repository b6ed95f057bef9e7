"""What our code does nowhere: run what it was given, read objects out of bytes, use a broken cipher or hash."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "kelmah"
#: Served to people; what only operators and developers run is left out.
SERVED = ("clients", "contracts", "gateway", "kit", "services", "workers")
FILES = {
    str(path.relative_to(SOURCE)): ast.parse(path.read_text(encoding="utf-8"))
    for room in SERVED
    for path in sorted((SOURCE / room).rglob("*.py"))
}
#: Module, or name in it → where it may be used, and why.
FORBIDDEN: dict[str, set[str]] = {
    "subprocess": set(),
    "os.system": set(),
    "os.popen": set(),
    "asyncio.create_subprocess_exec": set(),
    "asyncio.create_subprocess_shell": set(),
    "pickle": set(),
    "marshal": set(),
    "shelve": set(),
    "dill": set(),
    "yaml": set(),
    "jinja2": set(),
    "mako": set(),
    "xml.dom": set(),
    "xml.sax": set(),
    "lxml": set(),
    "xml.etree.ElementTree.parse": set(),
    "xml.etree.ElementTree.fromstring": set(),
    "hashlib.md5": set(),
    "hashlib.sha1": {
        "kit/scripts.py",  # Redis names its scripts by it
        "services/auth/service/breaches.py",  # lists of leaked passwords are made of it
    },
    "cryptography.hazmat.primitives.hashes.MD5": set(),
    "cryptography.hazmat.primitives.hashes.SHA1": {"services/auth/service/mfa.py"},  # TOTP, RFC 6238
    "cryptography.hazmat.primitives.ciphers.modes": set(),  # AESGCM alone is used
    "cryptography.hazmat.primitives.ciphers.algorithms": set(),
    "cryptography.hazmat.primitives.asymmetric.padding": {
        "services/payment/providers/paypal_notices.py",  # PayPal signs so; nothing is encrypted with it
    },
}
CALLS = {"eval", "exec", "compile", "__import__"}


def used(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports or reaches through what it imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_forbidden_things_are_used_where_it_is_said_and_nowhere_else() -> None:
    found: dict[str, set[str]] = {name: set() for name in FORBIDDEN}
    for path, tree in FILES.items():
        names = set(used(tree))
        for name in FORBIDDEN:
            if any(one == name or one.startswith(name + ".") for one in names):
                found[name].add(path)
    assert found == FORBIDDEN


def test_nothing_that_was_given_is_run() -> None:
    calls = [
        (path, node.func.id)
        for path, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS
    ]
    assert calls == []


#: Chance that need not be secret: jitter, sampling, choice of an instance, ids of spans and of made-up people.
JITTER = {
    "gateway/balancer.py",
    "gateway/health.py",
    "gateway/proxy.py",
    "kit/calls.py",
    "kit/context.py",
    "kit/discovery.py",
    "kit/ids.py",
    "services/job/service/evaluation.py",
    "services/messaging/socket/hub.py",
    "workers/loops.py",
}


def test_what_must_not_be_guessed_comes_from_the_system() -> None:
    assert {path for path, tree in FILES.items() if any(one.split(".")[0] == "random" for one in used(tree))} == JITTER


#: Modules that call over HTTP: by a client that follows redirects unless it is told not to.
CALLING = ("aiohttp", "requests", "httpx", "pyreqwest.client")
#: A handshake of a socket, and clients that others made, which were told.
TOLD = {"gateway/sockets.py", "gateway/app.py", "gateway/health.py", "services/payment/providers/paypal.py"}


def test_no_client_follows_redirects() -> None:
    files = {path for path, tree in FILES.items() if any(one in CALLING for one in used(tree))}
    told = {path for path in files if re.search(r"redirects(=|\()False", (SOURCE / path).read_text(encoding="utf-8"))}
    assert files - told == TOLD & files


@pytest.mark.parametrize("operator", ["$where", "$function", "$accumulator", "mapReduce"])
def test_the_database_runs_no_code_of_ours(operator: str) -> None:
    texts = [
        path
        for path, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == operator
    ]
    assert texts == []
