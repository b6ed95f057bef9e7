"""Says roughly where an address is: country and city, from a file in MaxMind's format that the operator brings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import maxminddb
import msgspec
import structlog
from maxminddb import InvalidDatabaseError, Reader
from msgspec import Meta

log = structlog.get_logger(__name__)

_Name = Annotated[str, Meta(min_length=1, max_length=200)]


class _Named(msgspec.Struct):
    names: dict[str, _Name] = {}
    iso_code: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] | None = None


class _Record(msgspec.Struct):
    """What is read of a record; the rest, such as coordinates, is left."""

    country: _Named = msgspec.field(default_factory=_Named)
    city: _Named = msgspec.field(default_factory=_Named)


class Place(NamedTuple):
    """A country by its ISO 3166-1 code, and the names of both where the file has them."""

    country_code: str
    country: str | None
    city: str | None


class Places:
    """An open file. Made by `open_places`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def find(self, address: str | None, *, language: str = "en") -> Place | None:
        """The place of an address, its names in this language or else in English; None where it is not known."""
        if address is None:
            return None
        try:
            record = msgspec.convert(self._reader.get(address), type=_Record)
        except msgspec.ValidationError:  # also where nothing is found
            return None
        except ValueError:  # an IPv6 address, and a file of IPv4 alone
            return None
        except InvalidDatabaseError as error:
            log.warning("places.damaged", error=type(error).__name__)
            return None
        if record.country.iso_code is None:
            return None
        return Place(record.country.iso_code, _name(record.country, language), _name(record.city, language))


def _name(named: _Named, language: str) -> str | None:
    return named.names.get(language) or named.names.get("en")


@contextmanager
def open_places(path: Path | None) -> Iterator[Places | None]:
    """The places in this file; None where there is no file.

    Raises:
        ValueError: it is not in MaxMind's format.
        OSError: it cannot be read.
    """
    if path is None:
        yield None
        return
    try:
        reader = maxminddb.open_database(path)
    except InvalidDatabaseError:
        raise ValueError(f"{path} is no file of places in MaxMind's format") from None
    with reader:
        yield Places(reader)
