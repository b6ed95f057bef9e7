"""Signing in with a provider that tells the truth, and with one that lies."""

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
import msgspec
import pytest
from joserfc.jwk import OctKey, RSAKey
from pydantic import SecretStr

from kelmah.kit.context import Principal
from kelmah.kit.ids import new_id
from kelmah.services.auth.service import open_providers
from kelmah.services.auth.settings import AuthSettings, OAuthProvider
from tests.fakes.oidc import CLIENT_ID, CLIENT_SECRET, FakeOIDC, Person, query, serving
from tests.fixtures.mailbox import Mailbox
from tests.fixtures.service import Reply, Service
from tests.integration.auth.conftest import Visitor, claims, events_of, new_member, new_visitor, run_timers


@pytest.fixture(scope="module")
async def google() -> AsyncIterator[FakeOIDC]:
    async with serving() as provider:
        yield provider


@pytest.fixture(scope="module")
async def linkedin() -> AsyncIterator[FakeOIDC]:
    async with serving() as provider:
        yield provider


@asynccontextmanager
async def knowing(auth: Service, settings: AuthSettings, **issuers: str) -> AsyncIterator[Service]:
    """The service with these providers."""
    oauth = {
        name: OAuthProvider(issuer=issuer, client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET))
        for name, issuer in issuers.items()
    }
    async with open_providers(settings.model_copy(update={"oauth": oauth})) as providers:
        auth.replace(providers=providers)
        try:
            yield auth
        finally:
            auth.replace(providers={})


@pytest.fixture(autouse=True)
async def _providers(
    auth: Service, settings: AuthSettings, google: FakeOIDC, linkedin: FakeOIDC
) -> AsyncIterator[None]:
    async with knowing(auth, settings, google=google.issuer, linkedin=linkedin.issuer):
        yield


@pytest.fixture(autouse=True)
def _truth(google: FakeOIDC, linkedin: FakeOIDC) -> None:
    google.calm()
    linkedin.calm()


async def start(auth: Service, provider: str = "google") -> tuple[str, str]:
    """The address that a browser is sent to, and its cookie."""
    reply = await auth.call("GET", f"/api/v1/auth/oauth/{provider}")
    assert reply.status == 302
    assert reply.headers["cache-control"] == "no-store"
    cookie = reply.headers["set-cookie"]
    assert re.search(r"HttpOnly", cookie)
    assert re.search(r"SameSite=lax", cookie)
    assert re.search(r"Path=/(;|$)", cookie)
    return reply.headers["location"], cookie.partition(";")[0]


async def test_behind_tls_the_cookie_is_this_hosts_alone(auth: Service) -> None:
    kept = auth.context.settings
    auth.replace(settings=kept.model_copy(update={"public_url": "https://kelmah.example"}))
    try:
        cookie = (await auth.call("GET", "/api/v1/auth/oauth/google")).headers["set-cookie"]
    finally:
        auth.replace(settings=kept)
    parts = cookie.split("; ")
    assert parts[0].startswith("__Host-kelmah_oauth=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(parts)
    assert "Domain" not in cookie


async def come_back(auth: Service, answer: dict[str, str], cookie: str, provider: str = "google") -> Reply:
    path = f"/api/v1/auth/oauth/{provider}/callback?{query(answer)}"
    return await auth.call("GET", path, headers={"cookie": cookie})


def handed(reply: Reply, purpose: str = "login") -> str:
    assert reply.status == 303, reply.body
    page, _, code = reply.headers["location"].partition("#code=")
    assert page == f"http://127.0.0.1:5000/oauth/{purpose}"
    return code


async def signed_in_code(auth: Service, google: FakeOIDC, person: Person) -> str:
    url, cookie = await start(auth)
    return handed(await come_back(auth, google.consent(url, person), cookie))


async def exchange(auth: Service, code: str, **more: Any) -> Reply:
    return await auth.call("POST", "/api/v1/auth/oauth/exchange", {"code": code} | more)


async def no_account(auth: Service) -> tuple[int, int]:
    mongo = auth.context.mongo
    return (
        await mongo.collection("accounts").count_documents({}),
        await mongo.collection("identities").count_documents({}),
    )


async def test_the_browser_is_sent_with_pkce_state_nonce_and_the_exact_address(auth: Service, google: FakeOIDC) -> None:
    url, _ = await start(auth)
    other, _ = await start(auth)
    asked, again = (dict(parse_qsl(urlsplit(one).query)) for one in (url, other))
    assert url.startswith(f"{google.issuer}/authorize?")
    assert asked["redirect_uri"] == "http://127.0.0.1:5000/api/v1/auth/oauth/google/callback"
    assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid email profile")
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert asked[name] != again[name]
    assert (await auth.call("GET", "/api/v1/auth/oauth/facebook")).data["code"] == "auth.provider_unknown"


async def test_a_new_person_names_a_role_and_is_in(auth: Service, google: FakeOIDC) -> None:
    person = Person()
    code = await signed_in_code(auth, google, person)
    before = await no_account(auth)
    asked = await exchange(auth, code)
    assert (asked.status, asked.data["code"], asked.data["errors"][0]["field"]) == (400, "auth.role_needed", "role")
    assert (await exchange(auth, code, role="admin")).status == 400
    assert await no_account(auth) == before
    reply = await exchange(auth, code, role="hirer")
    assert reply.status == 200
    user = reply.data["user"]
    assert (user["email"], user["role"], user["emailVerified"], user["firstName"]) == (
        person.email, "hirer", True, "Ama",
    )  # fmt: skip
    keys = (await auth.call("GET", "/.well-known/jwks.json")).data
    assert claims(reply.data["accessToken"], keys)["amr"] == ["fed"]
    assert await events_of(auth, f"user:{user['id']}") == [
        "auth.user_registered.v1", "auth.email_verified.v1", "auth.identity_linked.v1",
    ]  # fmt: skip
    assert (await exchange(auth, code, role="hirer")).data["code"] == "auth.oauth_refused"

    google.userinfo = {"sub": person.subject}
    person.email = None  # who it is does not rest on the address
    again = await exchange(auth, await signed_in_code(auth, google, person))
    assert again.data["user"]["id"] == user["id"]
    password = await auth.call(
        "POST",
        "/api/v1/auth/login",
        {"email": user["email"], "password": "None"},
        headers={"x-forwarded-for": "1.2.3.4"},
    )
    assert (password.status, password.data["code"]) == (401, "auth.invalid_credentials")


async def test_an_address_comes_from_userinfo_where_the_token_has_none(auth: Service, google: FakeOIDC) -> None:
    person = Person(email=None)
    google.userinfo = {"sub": person.subject, "email": "Kojo.Userinfo@example.com", "email_verified": True}
    google.omit = {"email_verified"}
    reply = await exchange(auth, await signed_in_code(auth, google, person), role="worker")
    assert reply.data["user"]["email"] == "Kojo.Userinfo@example.com"
    google.userinfo["sub"] = "somebody else"
    url, cookie = await start(auth)
    refused = await come_back(auth, google.consent(url, person), cookie)
    assert refused.data["code"] == "auth.oauth_refused"


@pytest.mark.parametrize("verified", [False, None, 1, "yes"])
async def test_an_unproven_address_makes_nothing(auth: Service, google: FakeOIDC, verified: Any) -> None:
    before = await no_account(auth)
    code = await signed_in_code(auth, google, Person(email_verified=verified))
    reply = await exchange(auth, code, role="worker")
    assert (reply.status, reply.data["code"]) == (403, "auth.provider_email_unverified")
    assert await no_account(auth) == before


@pytest.mark.parametrize("verified", [True, False])
async def test_an_account_with_the_same_address_is_never_taken_over(
    auth: Service, google: FakeOIDC, verified: bool
) -> None:
    member = await new_member(auth)
    before = await no_account(auth)
    code = await signed_in_code(auth, google, Person(email=member.email.upper(), email_verified=verified))
    reply = await exchange(auth, code, role="worker")
    assert reply.data["code"] == ("auth.link_first" if verified else "auth.provider_email_unverified")
    assert await no_account(auth) == before


FOREIGN_KEY = RSAKey.generate_key(2048, {"kid": "one"})
LIES: dict[str, dict[str, Any]] = {
    "wrong issuer": {"lie": {"iss": "https://accounts.google.com"}},
    "no issuer": {"omit": {"iss"}},
    "wrong audience": {"lie": {"aud": "another client"}},
    "two audiences, for the other": {"lie": {"aud": [CLIENT_ID, "another"], "azp": "another"}},
    "no audience": {"omit": {"aud"}},
    "wrong nonce": {"lie": {"nonce": "of another login"}},
    "no nonce": {"omit": {"nonce"}},
    "expired": {"lie": {"exp": 1_600_000_000}},
    "no expiry": {"omit": {"exp"}},
    "not yet": {"lie": {"iat": 4_000_000_000}},
    "no subject": {"omit": {"sub"}},
    "empty subject": {"lie": {"sub": ""}},
    "a number for a subject": {"lie": {"sub": 7}},
    "endless subject": {"lie": {"sub": "x" * 256}},
    "token of another access token": {"lie": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "no signature": {"header": {"alg": "none"}},
    "signed with the client's secret": {
        "header": {"alg": "HS256", "kid": "one"}, "signs_with": OctKey.import_key(CLIENT_SECRET),
    },
    "another algorithm": {"header": {"alg": "PS256", "kid": "one"}},
    "another's key": {"signs_with": FOREIGN_KEY},
    "unknown key": {"header": {"alg": "RS256", "kid": "two"}, "signs_with": FOREIGN_KEY},
    "its own key in the header": {
        "header": {"alg": "RS256", "kid": "two", "jwk": FOREIGN_KEY.as_dict(private=False)}, "signs_with": FOREIGN_KEY,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
async def test_a_lie_lets_nobody_in(auth: Service, google: FakeOIDC, name: str) -> None:
    before = await no_account(auth)
    url, cookie = await start(auth)
    answer = google.consent(url, Person())
    for what, value in LIES[name].items():
        setattr(google, what, value)
    reply = await come_back(auth, answer, cookie)
    assert (reply.status, reply.data["code"]) == (401, "auth.oauth_refused")
    google.calm()
    assert (await come_back(auth, answer, cookie)).status == 401  # the state was used up
    assert await no_account(auth) == before


async def test_new_keys_of_the_provider_are_fetched(auth: Service, google: FakeOIDC) -> None:
    await signed_in_code(auth, google, Person())
    old = google.key
    google.key = RSAKey.generate_key(2048, {"kid": "new", "use": "sig"})
    google.header = {"alg": "RS256", "kid": "new"}
    try:
        assert await signed_in_code(auth, google, Person())
    finally:
        google.key = old
        google.calm()
    assert await signed_in_code(auth, google, Person())


async def test_an_answer_fits_one_browser_one_provider_and_one_time(
    auth: Service, google: FakeOIDC, linkedin: FakeOIDC
) -> None:
    async def refused(answer: dict[str, str], cookie: str, provider: str = "google") -> None:
        reply = await come_back(auth, answer, cookie, provider)
        assert (reply.status, reply.data["code"]) == (401, "auth.oauth_refused")

    url, cookie = await start(auth)
    _, other_cookie = await start(auth)
    await refused(google.consent(url, Person()), other_cookie)
    url, cookie = await start(auth)
    await refused(google.consent(url, Person()), "a=b")
    url, cookie = await start(auth)
    await refused(google.consent(url, Person()) | {"state": "x" * 43}, cookie)
    url, cookie = await start(auth)
    await refused(google.consent(url, Person()) | {"iss": linkedin.issuer}, cookie)
    url, cookie = await start(auth)
    nameless = google.consent(url, Person())
    del nameless["iss"]
    await refused(nameless, cookie)
    url, cookie = await start(auth)
    await refused(google.consent(url, Person()), cookie, "linkedin")  # mixed up: its state is google's
    url, cookie = await start(auth)
    linkedin_code = linkedin.consent((await start(auth, "linkedin"))[0], Person())["code"]
    await refused(google.consent(url, Person()) | {"code": linkedin_code}, cookie)
    url, cookie = await start(auth)
    await refused({"state": google.consent(url, Person())["state"], "error": "access_denied"}, cookie)
    await refused({"state": "x"}, cookie)


async def test_a_replayed_code_is_of_no_use(auth: Service, google: FakeOIDC) -> None:
    google.replays_codes = True  # a careless provider
    url, cookie = await start(auth)
    stolen = google.consent(url, Person())
    handed(await come_back(auth, stolen, cookie))
    other, other_cookie = await start(auth)
    state = dict(parse_qsl(urlsplit(other).query))["state"]
    reply = await come_back(auth, stolen | {"state": state}, other_cookie)
    assert reply.data["code"] == "auth.oauth_refused"  # PKCE: the verifier is the other login's


async def test_a_provider_that_is_another_or_away_is_unavailable(
    auth: Service, google: FakeOIDC, moved_clock: Any
) -> None:
    for discovery in ({"issuer": "https://evil.example"}, {"token_endpoint": None}):
        moved_clock(timedelta(hours=2))
        google.discovery = discovery
        reply = await auth.call("GET", "/api/v1/auth/oauth/google")
        assert (reply.status, reply.data["code"]) == (503, "auth.provider_unavailable")


def fresh(visitor: Visitor) -> Principal:
    return msgspec.structs.replace(visitor.principal, authenticated_at=4_000_000_000)


async def begin_link(auth: Service, by: Principal, provider: str = "google") -> str:
    reply = await auth.call("POST", f"/api/v1/auth/oauth/{provider}/link", by=by)
    assert reply.status == 200, reply.body
    return str(reply.data["authorizationUrl"])


async def test_linking_takes_proof_of_both_and_unlinking_leaves_a_way_in(
    auth: Service, google: FakeOIDC, mailbox: Mailbox
) -> None:
    member, stranger = await new_member(auth), await new_member(auth)
    person = Person(email=member.email, email_verified=False)
    stale = await auth.call("POST", "/api/v1/auth/oauth/google/link", by=member.principal)
    assert (stale.status, stale.data["code"]) == (403, "step_up_required")
    code = handed(await come_back(auth, google.consent(await begin_link(auth, fresh(member)), person), ""), "link")
    before = await no_account(auth)
    assert (await exchange(auth, code)).data["code"] == "auth.oauth_refused"  # a link is no login
    code = handed(await come_back(auth, google.consent(await begin_link(auth, fresh(member)), person), ""), "link")
    other = await auth.call("POST", "/api/v1/auth/identities", {"code": code}, by=stranger.principal)
    assert other.data["code"] == "auth.oauth_refused"
    assert await no_account(auth) == before

    code = handed(await come_back(auth, google.consent(await begin_link(auth, fresh(member)), person), ""), "link")
    linked = await auth.call("POST", "/api/v1/auth/identities", {"code": code}, by=member.principal)
    assert (linked.status, linked.data["provider"]) == (201, "google")
    listed = (await auth.call("GET", "/api/v1/auth/identities", by=member.principal)).data["items"]
    assert [one["provider"] for one in listed] == ["google"]
    await run_timers(auth)
    assert [one["Subject"] for one in mailbox.messages(member.email)] == ["You can sign in to Kelmah in another way"]
    reply = await exchange(auth, await signed_in_code(auth, google, person))
    assert reply.data["user"]["id"] == member.principal.user_id

    taken = handed(await come_back(auth, google.consent(await begin_link(auth, fresh(stranger)), person), ""), "link")
    refused = await auth.call("POST", "/api/v1/auth/identities", {"code": taken}, by=stranger.principal)
    assert (refused.status, refused.data["code"]) == (409, "auth.identity_taken")

    path = "/api/v1/auth/identities/google"
    assert (await auth.call("DELETE", path, by=member.principal)).data["code"] == "step_up_required"
    assert (await auth.call("DELETE", path, by=fresh(stranger))).status == 404
    assert (await auth.call("DELETE", path, by=fresh(member))).status == 204
    assert (await auth.call("DELETE", path, by=fresh(member))).status == 404
    reply = await exchange(auth, await signed_in_code(auth, google, person))
    assert reply.data["code"] == "auth.provider_email_unverified"


async def test_the_last_way_in_stays(auth: Service, google: FakeOIDC) -> None:
    reply = await exchange(auth, await signed_in_code(auth, google, Person()), role="worker")
    visitor = await new_visitor(auth)
    visitor.tokens = reply.data
    refused = await auth.call("DELETE", "/api/v1/auth/identities/google", by=fresh(visitor))
    assert (refused.status, refused.data["code"]) == (409, "auth.last_way_in")
    listed = (await auth.call("GET", "/api/v1/auth/identities", by=visitor.principal)).data["items"]
    assert len(listed) == 1


async def test_what_waits_in_redis_can_be_read_by_nobody(auth: Service, google: FakeOIDC) -> None:
    person = Person(email=f"{new_id()}@example.com")
    url, _ = await start(auth)
    asked = dict(parse_qsl(urlsplit(url).query))
    await signed_in_code(auth, google, person)
    redis, secrets = auth.context.redis, (asked["state"], asked["nonce"], str(person.email))
    found = 0
    async for key in redis.scan_iter(match=f"{auth.context.settings.redis_prefix}:auth:oauth-*"):
        text = key + (await redis.get(key) or b"")
        found += 1
        assert not [secret for secret in secrets if secret.encode() in text]
        assert await redis.ttl(key) <= 600
    assert found >= 2


PROVIDER_HOME = Path(__file__).parents[2] / "fakes" / "oidc_provider"


@pytest.fixture(scope="module")
async def certified(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The issuer of a real provider, the certified npm package `oidc-provider`; what it needs is fetched by npm."""
    home = tmp_path_factory.mktemp("oidc")
    if shutil.which("npm") is None:
        pytest.skip("the real provider needs Node.js and npm")
    for name in ("package.json", "server.mjs"):
        shutil.copy(PROVIDER_HOME / name, home)
    install = await asyncio.create_subprocess_exec(
        "npm", "install", "--no-audit", "--no-fund", "--silent", cwd=home, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        _, faults = await install.communicate()
    if install.returncode:
        pytest.skip(f"npm could not fetch the real provider: {faults.decode()[-200:]}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    callback = "http://127.0.0.1:5000/api/v1/auth/oauth/google/callback"
    server = await asyncio.create_subprocess_exec(
        "node", "server.mjs", str(port), callback, cwd=home, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b"listening" not in await server.stdout.readline():
                assert server.returncode is None
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        await server.wait()


@pytest.fixture
async def certified_auth(auth: Service, settings: AuthSettings, certified: str) -> AsyncIterator[Service]:
    async with knowing(auth, settings, google=certified):
        yield auth


async def browse(url: str, login: str) -> str:
    """Sign in and consent at the real provider's own pages, as a browser would; gives the address it comes back to."""
    async with httpx2.AsyncClient(timeout=10) as browser:
        answer = await browser.get(url)
        for _ in range(12):
            if answer.is_redirect:
                location = str(answer.headers["location"])
                if "/auth/oauth/google/callback" in location:
                    return location
                answer = await browser.get(urljoin(str(answer.url), location))
                continue
            assert answer.status_code == 200, answer.text
            action = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
            assert action is not None, answer.text
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert prompt is not None
            form = {"prompt": prompt[1], "login": login, "password": "any"}
            answer = await browser.post(urljoin(str(answer.url), action[1]), data=form)
    raise AssertionError("the provider never sent the browser back")


async def test_a_real_provider_lets_people_in(certified_auth: Service) -> None:
    auth = certified_auth
    url, cookie = await start(auth)
    path = (await browse(url, "ama")).removeprefix("http://127.0.0.1:5000")
    code = handed(await auth.call("GET", path, headers={"cookie": cookie}))
    first = await exchange(auth, code, role="hirer")
    user = first.data["user"]
    assert (user["email"], user["firstName"], user["lastName"]) == ("ama.real@example.com", "Ama", "Mensah")
    replay = await auth.call("GET", path, headers={"cookie": cookie})
    assert replay.data["code"] == "auth.oauth_refused"

    url, cookie = await start(auth)
    path = (await browse(url, "ama")).removeprefix("http://127.0.0.1:5000")
    again = await exchange(auth, handed(await auth.call("GET", path, headers={"cookie": cookie})))
    assert again.data["user"]["id"] == user["id"]

    url, cookie = await start(auth)
    path = (await browse(url, "kofi")).removeprefix("http://127.0.0.1:5000")
    unproven = await exchange(auth, handed(await auth.call("GET", path, headers={"cookie": cookie})), role="worker")
    assert unproven.data["code"] == "auth.provider_email_unverified"
