"""Where the instances of a service are: as the settings list them, as DNS says, or as they entered themselves.

`http://host:port` is an instance; `dns+http://name:port` one for each address of the name; `srv+http://_job._tcp.name`
one for each record, with its weight; `registry:` those in the register.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import structlog
from dns.rdatatype import RdataType
from redis.exceptions import RedisError

from kelmah.kit.registry import Endpoint, Registry

log = structlog.get_logger(__name__)

#: Seconds between two looks, and for DNS to answer.
LOOK_S, DNS_S = 1.0, 2.0
REGISTRY = "registry:"
_FORMS = ("http://", "https://", "dns+http://", "srv+http://")


def is_address(text: str) -> bool:
    """Whether this is an entry of `service_urls`."""
    return text == REGISTRY or (text.startswith(_FORMS) and bool(urlsplit(text).hostname))


class Discovery:
    """The instances of one service, as far as they are known."""

    def __init__(
        self,
        service: str,
        addresses: Sequence[str],
        *,
        registry: Registry,
        resolver: dns.asyncresolver.Resolver | None = None,
    ) -> None:
        """Take the addresses; those that must be looked up are not known before `look`."""
        self.service = service
        self._fixed = [Endpoint(one.rstrip("/")) for one in addresses if one.startswith(_FORMS[:2])]
        self._asked = [one for one in addresses if not one.startswith(_FORMS[:2])]
        self._registry = registry
        self._resolver = resolver
        self._found: dict[str, list[Endpoint]] = {}
        self._listeners: list[Callable[[Sequence[Endpoint]], None]] = []
        self.endpoints: list[Endpoint] = list(self._fixed)

    @property
    def is_fixed(self) -> bool:
        """Whether nothing has to be looked up."""
        return not self._asked

    def listen(self, listener: Callable[[Sequence[Endpoint]], None]) -> None:
        """Have a function called with all instances whenever they change."""
        self._listeners.append(listener)

    async def look(self) -> None:
        """Look once. What cannot be asked, or knows nobody any more, is believed to be as it was."""
        for address in self._asked:
            try:
                found = await self._ask(address)
            except (RedisError, OSError, TimeoutError, dns.exception.DNSException) as error:
                log.warning("discovery.unavailable", callee=self.service, source=address, error=type(error).__name__)
                continue
            if found:
                self._found[address] = found
        known = {one.url: one for one in [*self._fixed, *(one for found in self._found.values() for one in found)]}
        endpoints = sorted(known.values())
        if endpoints != sorted(self.endpoints):
            log.info("discovery.changed", callee=self.service, instances=[one.url for one in endpoints])
            self.endpoints = endpoints
            for listener in self._listeners:
                listener(endpoints)

    async def follow(self) -> None:
        """Look again and again, for as long as the process runs."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S * random.uniform(0.75, 1.25))  # noqa: S311  # spreads, hides nothing

    async def _ask(self, address: str) -> list[Endpoint]:
        if address == REGISTRY:
            return await self._registry.find(self.service)
        kind, _, url = address.partition("+")
        parts = urlsplit(url)
        name = parts.hostname or ""
        resolver = self._resolver or dns.asyncresolver.get_default_resolver()
        if kind == "srv":
            records = list(await resolver.resolve(name, "SRV", lifetime=DNS_S))
            first = min(record.priority for record in records)
            return [
                Endpoint(
                    f"{parts.scheme}://{record.target.to_text(omit_final_dot=True)}:{record.port}", record.weight or 1
                )
                for record in records
                if record.priority == first
            ]
        answers = await asyncio.gather(
            *(resolver.resolve(name, kind, lifetime=DNS_S, raise_on_no_answer=False) for kind in ("A", "AAAA"))
        )
        port = f":{parts.port}" if parts.port else ""
        return [
            Endpoint(f"{parts.scheme}://{f'[{one.address}]' if answer.rdtype == RdataType.AAAA else one.address}{port}")
            for answer in answers
            for one in answer
        ]
