"""`kelmah routes`: what the gateway lets through, and what it would do with a request."""

import json
import sys
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import msgspec

from kelmah.cli import development
from kelmah.gateway import explain as told
from kelmah.gateway import routes
from kelmah.gateway.explain import Explanation, InstanceView, RouteView
from kelmah.kit.errors import KelmahError

_TIMEOUT_S = 5


def show(file: str | None) -> None:
    """List the routes of a file, or of the packaged one."""
    try:
        table = routes.load(file)
    except (routes.RouteError, OSError) as error:
        sys.exit(str(error))
    rows = [
        (
            *(" ".join(one.methods), one.host + one.path, one.service, one.auth, one.limit),
            *(f"{one.timeout_s:g} s", one.balance),
        )
        for one in told.list_routes(table).items
    ]
    _show([("METHODS", "PATH", "SERVICE", "AUTH", "LIMIT", "TIMEOUT", "BALANCE"), *rows])


def explain(method: str, path: str, /, *, file: str | None = None, url: str | None = None, host: str = "") -> None:
    """Say what becomes of a request: route, address at the service, rules, and which instance gets it.

    Args:
        method: GET, POST, … or WS.
        path: as clients send it.
        file: explain by this file, without asking a running gateway.
        url: the running gateway to ask; that of `kelmah up` if there is one, else the file is read.
        host: the host that is asked for, where routes differ by it.
    """
    address = None if file else url or _running()
    try:
        if address:
            found = _ask(address, method, path, host)
        else:
            found = told.explain(routes.load(file), method, path, {}, host)
    except (KelmahError, routes.RouteError, OSError) as error:
        sys.exit(getattr(error, "message", "") or str(error) or getattr(error, "title", "refused"))
    _print(found, is_live=address is not None)


def _running() -> str | None:
    note = development.HOME / "platform.json"
    return str(json.loads(note.read_text(encoding="utf-8"))["url"]) if note.exists() else None


def _ask(url: str, method: str, path: str, host: str) -> Explanation:
    if urlsplit(url).scheme not in ("http", "https"):
        sys.exit("the gateway's address begins with http:// or https://")
    target = f"{url.rstrip('/')}/routes?{urlencode({'method': method, 'path': path, 'host': host})}"
    try:
        with urlopen(target, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # the scheme was checked
            return msgspec.json.decode(answer.read(), type=Explanation)
    except HTTPError as error:
        problem: dict[str, Any] = json.loads(error.read())
        sys.exit(problem.get("detail") or problem["title"])
    except URLError as error:
        sys.exit(f"no gateway answers at {url}: {error.reason}")


def _print(found: Explanation, *, is_live: bool) -> None:
    route: RouteView = found.route
    rows = [
        ("route", f"{' '.join(route.methods)} {route.host}{route.path}" + f", priority {route.priority}"),
        ("sent as", f"{found.sent} to {route.service}"),
        ("rewrite", route.rewrite or "none"),
        ("headers", _headers(route)),
        ("auth", route.auth),
        ("limit", f"{route.limit}: {found.limit}"),
        ("timeout", f"{route.timeout_s:g} s" + (", body and answer are streamed" if route.streams else "")),
        ("retries", "yes, where the method is safe or has a key" if route.retries else "never"),
        ("balance", route.balance),
        *(("instance", _instance(one)) for one in found.instances),
        ("goes to", found.goes_to or ("nobody" if is_live else "unknown: no gateway was asked")),
    ]
    _show(rows)


def _show(rows: Sequence[Sequence[str]]) -> None:
    """Columns that are never cut, so that other programs can read them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())  # noqa: T201  # the command's answer


def _headers(route: RouteView) -> str:
    return f"of the request: {route.request_headers or 'as sent'}; of the answer: {route.answer_headers or 'as given'}"


def _instance(one: InstanceView) -> str:
    latency = "" if one.latency_ms is None else f", {one.latency_ms} ms"
    out = f"; out: {one.out}" if one.out else ""
    return f"{one.name} (weight {one.weight}, {one.running} running{latency}, circuit {one.circuit}{out})"
