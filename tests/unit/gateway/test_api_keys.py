"""API keys at the edge: what is asked, what is remembered, and what is refused."""

import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kelmah.contracts.auth import ApiKeyCheck, ApiKeyHolder, Scope
from kelmah.contracts.common import Role
from kelmah.gateway import api_keys, routes
from kelmah.gateway.api_keys import ApiKeys
from kelmah.gateway.errors import ApiKeyRefused, TokenRefused
from kelmah.gateway.tokens import KeyStore, PublishedKeys, TokenVerifier
from kelmah.kit import clock, errors

ID = "0" * 31 + "1"
KEY = f"kelmah_{ID}_{'s' * 43}"


class Auth:
    """Stands for the auth service's check: it knows one key."""

    def __init__(self) -> None:
        self.asked: list[ApiKeyCheck] = []
        self.revoked: set[str] = set()
        self.time = 1000.0
        self.trouble: errors.KelmahError | None = None
        self.keys = ApiKeys(self.check, is_revoked=self.revoked.__contains__, monotonic=lambda: self.time)

    async def check(self, given: ApiKeyCheck) -> ApiKeyHolder:
        self.asked.append(given)
        if self.trouble:
            raise self.trouble
        if given.key_id != ID:
            raise errors.NotFound
        expires_at = int(clock.now().timestamp()) + 3_600
        return ApiKeyHolder(
            key_id=ID, user_id="ama", role=Role.HIRER, scopes=frozenset({Scope.JOBS_READ}), expires_at=expires_at
        )


@pytest.fixture
def auth() -> Iterator[Auth]:
    yield Auth()
    clock.reset()


async def test_a_good_key_is_asked_for_once_in_half_a_minute_and_never_shown(auth: Auth) -> None:
    found, again = [await auth.keys.verify(KEY, address="::1") for _ in range(2)]
    assert again is found
    assert (found.sub, found.sid, found.role, found.auth_time, found.amr) == ("ama", ID, Role.HIRER, 0, ("api_key",))
    assert found.scopes == {Scope.JOBS_READ}
    [asked] = auth.asked
    assert "s" * 43 not in str(asked)
    auth.time += api_keys.REMEMBERED_S + 1
    await auth.keys.verify(KEY, address="::1")
    assert len(auth.asked) == 2


async def test_a_revoked_or_expired_key_is_refused_though_remembered(auth: Auth) -> None:
    await auth.keys.verify(KEY, address="::1")
    auth.revoked.add(ID)
    with pytest.raises(ApiKeyRefused):
        await auth.keys.verify(KEY, address="::1")
    auth.revoked.clear()
    await auth.keys.verify(KEY, address="::1")
    clock.shift(timedelta(hours=1))
    with pytest.raises(ApiKeyRefused):
        await auth.keys.verify(KEY, address="::1")
    assert len(auth.asked) == 1


@pytest.mark.parametrize(
    "key",
    [
        "kelmah_", "kelmah_x_y", KEY[:-1], KEY + "s", KEY.upper(), KEY.replace("_", "-"), KEY[:-1] + "é", KEY + "\n",
        f"kelmah_{ID}_{'=' * 43}", f"kelmah_{'A' * 32}_{'s' * 43}",
    ],
)  # fmt: skip
async def test_what_is_no_key_is_not_asked_for(auth: Auth, key: str) -> None:
    with pytest.raises(ApiKeyRefused):
        await auth.keys.verify(key, address="::1")
    assert auth.asked == []


async def test_guesses_are_bounded_by_address_and_push_no_good_key_out(
    auth: Auth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_REFUSED", 3)
    await auth.keys.verify(KEY, address="::1")
    guesses = [f"kelmah_{number:032x}_{'s' * 43}" for number in range(100, 200)]
    refused = 0
    for guess in guesses:
        with pytest.raises((ApiKeyRefused, errors.TooManyRequests)) as caught:
            await auth.keys.verify(guess, address="::2")
        refused += caught.type is errors.TooManyRequests
    assert (len(auth.asked), refused) == (1 + api_keys.LOOKUPS.quota, 100 - api_keys.LOOKUPS.quota)
    assert len(auth.keys._refused) == 3
    assert (await auth.keys.verify(KEY, address="::2")).sub == "ama"
    with pytest.raises(ApiKeyRefused):
        await auth.keys.verify(guesses[0], address="::3")


async def test_what_is_remembered_is_bounded(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MAX_REMEMBERED", 3)
    for number in range(5):
        await auth.keys.verify(f"kelmah_{ID}_{number:043}", address="::1")
    assert len(auth.keys._remembered) == 3


async def test_without_the_auth_service_nobody_is_called_a_liar(auth: Auth) -> None:
    auth.trouble = errors.GatewayTimeout()
    with pytest.raises(errors.Unavailable):
        await auth.keys.verify(KEY, address="::1")
    auth.trouble = None
    assert (await auth.keys.verify(KEY, address="::1")).sub == "ama"


async def test_a_key_travels_as_a_bearer_token_only(auth: Auth) -> None:
    async def no_keys() -> PublishedKeys:
        return PublishedKeys(keys=[])

    verifier = TokenVerifier(KeyStore(no_keys), issuer="x", is_revoked=lambda _: False, api_keys=auth.keys)
    assert (await verifier.verify(f"Bearer {KEY}".encode(), address="::1")).sub == "ama"
    for header in (f"Basic {KEY}", f"ApiKey {KEY}", KEY, f"Bearer x{KEY}", f"Bearer {KEY}.a.b"):
        with pytest.raises((TokenRefused, ApiKeyRefused)):
            await verifier.verify(header.encode(), address="::1")


def test_no_key_reaches_identity_keys_contracts_sockets_or_money_that_moves() -> None:
    packaged = routes.load()
    open_to_keys = {(method, route.path): route for route in packaged.routes for method in route.scopes}
    assert not [route.path for route in open_to_keys.values() if route.service == "auth"]
    assert not [one for one, route in open_to_keys.items() if route.service == "payment" and one[0] != "GET"]
    assert not [route.path for route in open_to_keys.values() if route.limit in ("money", "account", "login", "socket")]
    bound = ("sign", "cancel", "end", "approve", "accept", "amendment", "counter-offer", "ws", "export", "phone")
    assert not [path for _, path in open_to_keys if path.rpartition("/")[2] in bound]
    assert {scope for route in packaged.routes for scope in route.scopes.values()} == set(Scope)
    for (method, path), route in open_to_keys.items():
        reads = route.scopes[method].value.endswith(":read")
        assert reads == (method == "GET"), f"{method} {path}"


def test_every_operation_has_a_scope_or_a_reason_for_none() -> None:
    stated = tomllib.loads(Path(__file__).with_name("unscoped.toml").read_text(encoding="utf-8"))
    named = [
        (method, path)
        for names in stated.values()
        for name in names
        for *methods, path in [name.split()]
        for method in methods
    ]
    assert ("auth", "*") in named  # all of that service
    without = [
        (method, route.path)
        for route in routes.load().routes
        for method in route.methods
        if method not in route.scopes and route.service != "auth"
    ]
    assert sorted(named) == sorted([*without, ("auth", "*")])


@pytest.mark.parametrize(
    "scopes",
    [
        '"jobs:all" = ["GET /api/v1/jobs"]',
        '"jobs:read" = ["POST /api/v1/jobs"]',
        '"jobs:read" = ["/api/v1/jobs"]\n"jobs:write" = ["GET /api/v1/x"]',
        '"jobs:read" = ["GET /api/v1/jobs"]\n"jobs:write" = ["GET /api/v1/jobs"]',
        '"jobs:read" = "GET /api/v1/jobs"',
    ],
)
def test_scopes_that_do_not_fit_the_table_are_refused(scopes: str) -> None:
    table = (
        '[limits]\ndefault = { quota = 1, window_s = 1 }\n[services.job]\n"GET /api/v1/jobs" = { auth = "public" }\n'
    )
    with pytest.raises(routes.RouteError, match="does not fit"):
        routes.parse(f"{table}\n[scopes]\n{scopes}\n")
