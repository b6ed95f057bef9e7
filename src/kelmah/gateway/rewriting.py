"""What a route changes on the way to its service and back: the path, and headers by name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from kelmah.gateway.incoming import Headers, is_clean_path, is_for_services, is_for_the_client
from kelmah.kit.errors import NotFound
from kelmah.kit.observe import SECURITY_HEADERS

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
#: What processes serve to each other only; no route leads there, by whatever detour.
_INTERNAL = "/internal"
#: The gateway's own to say, to clients.
_FIXED = frozenset({name for name, _ in SECURITY_HEADERS} | {b"vary", b"connection", b"content-length"})


class RewriteRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the file says it: cut `strip` off, put `add` before, and then, if all of it fits `match`, it is `to`."""

    strip: str = ""
    add: str = ""
    match: str = ""
    to: str = ""


class HeaderRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the file says it: headers to set, whatever was there before, and headers to leave out."""

    set: dict[str, str] = {}
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """How a path is changed."""

    strip: str
    add: str
    pattern: re.Pattern[str] | None
    to: str

    def apply(self, path: str) -> str:
        """The path that the service gets, percent-encoded as it came.

        Raises:
            NotFound: it would be none that a client may reach.
        """
        path = self.add + path[len(self.strip) :]
        if self.pattern is not None and (found := self.pattern.fullmatch(path)):
            path = found.expand(self.to)
        if not is_clean_path(path.encode()) or (path + "/").startswith(_INTERNAL + "/"):
            raise NotFound
        return path


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """How headers are changed."""

    kept_out: frozenset[bytes] = field(default_factory=frozenset)
    added: tuple[tuple[bytes, bytes], ...] = ()

    def apply(self, headers: Headers) -> Headers:
        """The headers with the changes."""
        return [*(pair for pair in headers if pair[0] not in self.kept_out), *self.added]


def rewrite(rule: RewriteRule | None) -> Rewrite | None:
    """The rule, ready for use.

    Raises:
        ValueError: the pattern is none, or what it is replaced by names a group that it lacks.
    """
    if rule is None:
        return None
    try:
        pattern = re.compile(rule.match) if rule.match else None
        if pattern is not None:
            pattern.sub(rule.to, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"{rule.match!r} → {rule.to!r} is no rewrite: {error}") from error
    return Rewrite(rule.strip, rule.add, pattern, rule.to)


def changes(rule: HeaderRule | None) -> HeaderChanges | None:
    """The rule, ready for use."""
    if rule is None:
        return None
    added = tuple((name.lower().encode(), value.encode()) for name, value in rule.set.items())
    removed = (name.lower().encode() for name in rule.remove)
    return HeaderChanges(frozenset([name for name, _ in added]).union(removed), added)


def faults_of_rewrite(path: str, rule: Rewrite) -> Iterator[str]:
    """Why a route's path cannot be changed so."""
    literal = path.partition("{")[0].partition("*")[0]
    if rule.strip and not (_PREFIX.fullmatch(rule.strip) and (literal + "/").startswith(rule.strip + "/")):
        yield f"it does not begin with {rule.strip!r}, which is to be stripped"
    if rule.add and not _PREFIX.fullmatch(rule.add):
        yield f"{rule.add!r} cannot be put before a path"
    if (rule.add + literal[len(rule.strip) :]).startswith(_INTERNAL + "/"):
        yield f"nothing leads to {_INTERNAL}"


def faults_of_changes(rule: HeaderChanges, *, to_client: bool) -> Iterator[str]:
    """Why headers cannot be changed so."""
    for name in sorted(rule.kept_out):
        if not _NAME.fullmatch(name.decode()):
            yield f"{name.decode()!r} is no name of a header"
        elif not (is_for_the_client(name) and name not in _FIXED if to_client else is_for_services(name)):
            yield f"the header {name.decode()!r} is not a route's to change"
    for name, value in rule.added:
        if not _VALUE.fullmatch(value.decode()):
            yield f"the header {name.decode()!r} cannot have this value"


def told(rule: Rewrite | None) -> str | None:
    """A rewrite for people."""
    if rule is None:
        return None
    parts = [f"strip {rule.strip}"] * bool(rule.strip) + [f"add {rule.add}"] * bool(rule.add)
    if rule.pattern is not None:
        parts.append(f"{rule.pattern.pattern} → {rule.to}")
    return ", ".join(parts)


def told_changes(rule: HeaderChanges | None) -> str | None:
    """Changes of headers for people."""
    if rule is None:
        return None
    added: Mapping[bytes, bytes] = dict(rule.added)
    gone = [f"without {name.decode()}" for name in sorted(rule.kept_out - added.keys())]
    return ", ".join([*(f"{name.decode()}: {value.decode()}" for name, value in rule.added), *gone])
