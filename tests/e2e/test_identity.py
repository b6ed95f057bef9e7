"""Every operation of identity, through the gateway, with real tokens, a real mail server and an OpenID provider."""

import asyncio
import email
import email.policy
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from kelmah.cli import platform
from kelmah.cli.demo.client import eventually
from kelmah.cli.platform import Platform
from kelmah.gateway import routes
from kelmah.kit.ids import new_id
from kelmah.services.auth.service.signing import _REGISTRY
from tests.e2e.conftest import run
from tests.fakes.authenticator import Authenticator, code_of
from tests.fakes.oidc import CLIENT_ID, CLIENT_SECRET, FakeOIDC, Person, query, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PASSWORD, OTHER_PASSWORD = "blue kente on a Friday", "green gonja by the Volta"
V1 = "/api/v1/auth"


class Answer(NamedTuple):
    """What the gateway said."""

    status: int
    headers: dict[str, str]
    data: Any


class Post:
    """The mail server's boxes; each mail is read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: set[Path] = set()

    async def token(self, address: str, subject: str) -> str:
        """The token of a mail to somebody with this subject that was not read yet."""
        text = await eventually(f"“{subject}” to {address}", lambda: asyncio.to_thread(self._look, address, subject))
        match = re.search(r"^Token: (\S+)$", text, re.MULTILINE)
        assert match is not None, text
        return match[1]

    def _look(self, address: str, subject: str) -> str | None:
        for file in sorted(set((self._path / "new").glob("*")) - self._read, key=lambda one: one.stat().st_mtime):
            message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            if address in str(message["to"]) and message["subject"] == subject:
                self._read.add(file)
                body = message.get_body(("plain",))
                return str(body.get_content()) if body else None
        return None


@dataclass
class Town:
    """The platform and what of its operations was called."""

    platform: Platform
    http: aiohttp.ClientSession
    provider: FakeOIDC
    post: Post
    called: set[str] = field(default_factory=set)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        expect: int = 200,
        code: str | None = None,
        cookie: str = "",
        device: str = "",
    ) -> Answer:
        """Call an operation, and compare the status and the code of a refusal."""
        given = {"authorization": token and f"Bearer {token}", "cookie": cookie, "kelmah-device": device}
        sent = {name: value for name, value in given.items() if value}
        self.called.add(f"{method} {urlsplit(path).path}")
        url = path if "://" in path else f"{self.platform.gateway_url}{path}"
        async with self.http.request(method, url, json=body, headers=sent, allow_redirects=False) as answer:
            content = await answer.read()
            is_json = "json" in answer.content_type
            found = {name.lower(): value for name, value in answer.headers.items()}
            reply = Answer(answer.status, found, json.loads(content) if content and is_json else content)
        assert reply.status == expect, f"{method} {path}: {reply.status} {reply.data!r}"
        assert code is None or reply.data["code"] == code, reply.data
        return reply

    async def login(self, address: str, *, device: str = "") -> dict[str, Any]:
        body = {"email": address, "password": PASSWORD}
        return dict((await self.ask("POST", f"{V1}/login", body, device=device)).data)

    async def join(self, role: str) -> tuple[str, dict[str, Any]]:
        """A new person: the address, and the tokens of the first session."""
        address = f"esi.{new_id()}@example.com"
        account = {"email": address, "password": PASSWORD, "firstName": "Esi", "lastName": "Owusu", "role": role}
        await self.ask("POST", f"{V1}/register", account, expect=201)
        await self.ask(
            "POST", f"{V1}/login", {"email": address, "password": PASSWORD}, expect=403, code="auth.email_not_verified"
        )
        first = await self.post.token(address, "Verify your e-mail address for Kelmah")
        await self.ask("POST", f"{V1}/resend-verification", {"email": address}, expect=204)
        again = await self.post.token(address, "Verify your e-mail address for Kelmah")
        assert first != again
        await self.ask("POST", f"{V1}/verify-email", {"token": again}, expect=204)
        return address, await self.login(address)

    async def is_out(self, token: str) -> None:
        """The session of this access token is ended at the gateway, within the second that its news may take."""

        async def refused() -> bool | None:
            async with self.http.get(
                f"{self.platform.gateway_url}{V1}/me", headers={"authorization": f"Bearer {token}"}
            ) as answer:
                return True if answer.status == 401 and (await answer.json())["code"] == "session_ended" else None

        await eventually("the end of a session", refused)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(serving())
        google = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KELMAH_GATEWAY_LIMIT_FACTOR", "1000")
            patch.setenv("KELMAH_AUTH_OAUTH", json.dumps({"google": google}))
            started = await stack.enter_async_context(platform.running(home=None))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), cookie_jar=aiohttp.DummyCookieJar())
        )
        assert started.mailbox is not None
        yield Town(started, http, provider, Post(started.mailbox))


async def test_the_whole_of_identity_through_the_gateway(town: Town) -> None:
    address, tokens = await town.join("worker")
    tokens = await sessions(town, address, tokens)
    tokens = await passkeys(town, tokens)
    await api_keys(town, tokens["accessToken"])
    await providers(town, tokens["accessToken"])
    await archives(town, tokens["accessToken"])
    tokens = await second_factor(town, address, tokens)
    address, tokens = await another_address(town, address, tokens)
    await passwords(town, address, tokens)
    await administration(town)
    await rest_and_end(town)
    assert await missing(town) == []


async def missing(town: Town) -> list[str]:
    """Operations of identity that the gateway's own description names, and nothing here called."""
    document = (await town.ask("GET", "/openapi.json")).data
    table = routes.load()
    found = []
    for path, item in document["paths"].items():
        example = "/".join("~" if part.startswith("{") else part for part in path.split("/"))
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + r"\Z")
        for verb, operation in item.items():
            is_ours = (table.match(example) or {})[verb.upper()].service == "auth"
            if is_ours and not any(
                method == verb.upper() and pattern.match(called)
                for method, _, called in (one.partition(" ") for one in town.called)
            ):
                found.append(operation["operationId"])
    return found


async def sessions(town: Town, address: str, tokens: dict[str, Any]) -> dict[str, Any]:
    keys = (await town.ask("GET", "/.well-known/jwks.json")).data
    claims = jwt.decode(tokens["accessToken"], KeySet.import_key_set(keys), registry=_REGISTRY).claims
    assert (claims["role"], claims["amr"]) == ("worker", ["pwd"])
    me = (await town.ask("GET", f"{V1}/me", token=tokens["accessToken"])).data
    assert (me["id"], me["email"]) == (claims["sub"], address)
    await town.ask("GET", f"{V1}/me", expect=401, code="unauthenticated")
    await town.ask("GET", f"{V1}/me?access_token={tokens['accessToken']}", expect=401, code="unauthenticated")
    head, body, signature = tokens["accessToken"].split(".")
    await town.ask("GET", f"{V1}/me", token=f"{head}.{body}.{signature[::-1]}", expect=401)

    used = tokens["refreshToken"]
    tokens |= (await town.ask("POST", f"{V1}/refresh", {"refreshToken": used})).data
    second, third = await town.login(address), await town.login(address)
    listed = (await town.ask("GET", f"{V1}/sessions", token=tokens["accessToken"])).data["items"]
    assert [one["current"] for one in listed].count(True) == 1
    assert {one["place"] for one in listed} == {None}  # nobody brought a file of places
    claims = jwt.decode(second["accessToken"], KeySet.import_key_set(keys), registry=_REGISTRY).claims
    await town.ask("DELETE", f"{V1}/sessions/{claims['sid']}", token=tokens["accessToken"], expect=204)
    await town.is_out(second["accessToken"])
    await town.ask("DELETE", f"{V1}/sessions?keepCurrent=true", token=tokens["accessToken"], expect=204)
    await town.is_out(third["accessToken"])
    await town.ask("POST", f"{V1}/refresh", {"refreshToken": third["refreshToken"]}, expect=401)
    # A refresh token that comes again ends its family, whoever brings it.
    await town.ask("POST", f"{V1}/refresh", {"refreshToken": used}, expect=401, code="auth.refresh_refused")
    await town.is_out(tokens["accessToken"])
    fourth = await town.login(address)
    left = await town.ask("POST", f"{V1}/logout", token=fourth["accessToken"], expect=204)
    assert left.headers["clear-site-data"] == '"cache", "storage"'
    await town.is_out(fourth["accessToken"])
    return await town.login(address)


async def passkeys(town: Town, tokens: dict[str, Any]) -> dict[str, Any]:
    token, device = tokens["accessToken"], Authenticator(town.platform.env["KELMAH_PUBLIC_URL"])
    started = (await town.ask("POST", f"{V1}/passkeys/options", token=token)).data
    made = {"name": "Phone", "ceremony": started["ceremony"], "credential": device.create(started["publicKey"])}
    key = (await town.ask("POST", f"{V1}/passkeys", made, token=token, expect=201)).data
    path = f"{V1}/passkeys/{key['id']}"
    await town.ask("PATCH", path, {"name": "Old phone"}, token=token)
    [listed] = (await town.ask("GET", f"{V1}/passkeys", token=token)).data["items"]
    assert listed["name"] == "Old phone"

    started = (await town.ask("POST", f"{V1}/passkeys/challenge", {})).data
    proof = {"ceremony": started["ceremony"], "credential": device.get(started["publicKey"])}
    tokens = (await town.ask("POST", f"{V1}/login/passkey", {"passkey": proof})).data
    await town.ask("POST", f"{V1}/login/passkey", {"passkey": proof}, expect=401, code="auth.passkey_refused")
    started = (await town.ask("POST", f"{V1}/passkeys/challenge", {}, token=tokens["accessToken"])).data
    proof = {"ceremony": started["ceremony"], "credential": device.get(started["publicKey"])}
    stepped = (await town.ask("POST", f"{V1}/step-up", {"passkey": proof}, token=tokens["accessToken"])).data
    await town.ask("DELETE", path, token=stepped["accessToken"], expect=204)
    return dict(tokens)


async def api_keys(town: Town, token: str) -> None:
    wanted = {"name": "Payroll", "scopes": ["profile:read"]}
    made = (await town.ask("POST", f"{V1}/api-keys", wanted, token=token, expect=201)).data
    await town.ask("GET", "/api/v1/users/me", token=made["key"])
    await town.ask("GET", f"{V1}/me", token=made["key"], expect=403)
    turned = (await town.ask("POST", f"{V1}/api-keys/{made['id']}/rotate", {}, token=token, expect=201)).data
    listed = (await town.ask("GET", f"{V1}/api-keys", token=token)).data["items"]
    assert [one["id"] for one in listed] == [turned["id"]]
    await town.ask("DELETE", f"{V1}/api-keys/{turned['id']}", token=token, expect=204)

    async def refused() -> bool | None:
        bearer = {"authorization": f"Bearer {turned['key']}"}
        async with town.http.get(f"{town.platform.gateway_url}/api/v1/users/me", headers=bearer) as answer:
            return True if answer.status == 401 else None

    await eventually("the end of a key", refused)


async def providers(town: Town, token: str) -> None:
    async def handed(url: str, who: Person, cookie: str = "") -> str:
        answer = query(town.provider.consent(url, who))
        back = await town.ask("GET", f"{V1}/oauth/google/callback?{answer}", expect=303, cookie=cookie)
        await town.ask("GET", f"{V1}/oauth/google/callback?{answer}", expect=401, cookie=cookie)  # replayed
        return back.headers["location"].partition("#code=")[2]

    ama = Person()
    sent = await town.ask("GET", f"{V1}/oauth/google", expect=302)
    cookie = sent.headers["set-cookie"].partition(";")[0]
    code = await handed(sent.headers["location"], ama, cookie)
    new = (await town.ask("POST", f"{V1}/oauth/exchange", {"code": code, "role": "hirer"})).data
    assert (new["user"]["role"], new["user"]["email"]) == ("hirer", ama.email)

    kofi = Person()
    url = (await town.ask("POST", f"{V1}/oauth/google/link", token=token)).data["authorizationUrl"]
    code = await handed(url, kofi)
    await town.ask("POST", f"{V1}/identities", {"code": code}, token=token, expect=201)
    [linked] = (await town.ask("GET", f"{V1}/identities", token=token)).data["items"]
    assert linked["provider"] == "google"
    await town.ask("DELETE", f"{V1}/identities/google", token=token, expect=204)

    for lie in ({"iss": "https://elsewhere.example"}, {"aud": "another"}, {"nonce": "another"}):
        sent = await town.ask("GET", f"{V1}/oauth/google", expect=302)
        town.provider.lie = lie
        answer = query(town.provider.consent(sent.headers["location"], Person()))
        path = f"{V1}/oauth/google/callback?{answer}"
        cookie = sent.headers["set-cookie"].partition(";")[0]
        await town.ask("GET", path, expect=401, code="auth.oauth_refused", cookie=cookie)
        town.provider.calm()


async def archives(town: Town, token: str) -> None:
    shown = (await town.ask("GET", f"{V1}/me/export", token=token)).data
    export_id = (await town.ask("POST", f"{V1}/me/exports", token=token, expect=202)).data["id"]

    async def ready() -> bool | None:
        items = (await town.ask("GET", f"{V1}/me/exports", token=token)).data["items"]
        return True if [one["status"] for one in items if one["id"] == export_id] == ["ready"] else None

    await eventually("the archive", ready)
    url = (await town.ask("POST", f"{V1}/me/exports/{export_id}/link", token=token)).data["url"]
    zipped = (await town.ask("GET", url)).data
    with zipfile.ZipFile(io.BytesIO(zipped)) as found:
        [kept] = json.loads(found.read("auth/account.json"))
    assert kept["account"] == shown["account"]
    await town.ask("GET", url, expect=400)


async def second_factor(town: Town, address: str, tokens: dict[str, Any]) -> dict[str, Any]:
    token = tokens["accessToken"]
    secret = (await town.ask("POST", f"{V1}/mfa/setup", token=token)).data["secret"]
    codes = (await town.ask("POST", f"{V1}/mfa/verify", {"code": code_of(secret)}, token=token)).data["codes"]
    asked = await town.login(address)
    assert asked["mfaRequired"] is True
    wrong = {"challenge": asked["challenge"], "code": "000000"}
    await town.ask("POST", f"{V1}/login/mfa", wrong, expect=401, code="auth.mfa_refused")
    right = {"challenge": asked["challenge"], "code": code_of(secret, at=30)}
    tokens = (await town.ask("POST", f"{V1}/login/mfa", right)).data
    stepped = (await town.ask("POST", f"{V1}/step-up", {"code": codes[0]}, token=tokens["accessToken"])).data
    token = stepped["accessToken"]
    await town.ask("POST", f"{V1}/mfa/disable", {"code": codes[1]}, token=token, expect=204)
    return dict(tokens)


async def another_address(town: Town, address: str, tokens: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    new = f"other.{new_id()}@example.com"
    await town.ask("POST", f"{V1}/me/email", {"newEmail": new}, token=tokens["accessToken"], expect=204)
    for box, subject in (
        (address, "Another e-mail address for your Kelmah account"),
        (new, "Confirm your new e-mail address for Kelmah"),
    ):
        token = await town.post.token(box, subject)
        await town.ask("POST", f"{V1}/email-change/confirm", {"token": token}, expect=204)
    assert (await town.ask("GET", f"{V1}/me", token=tokens["accessToken"])).data["email"] == new
    await town.ask("POST", f"{V1}/login", {"email": address, "password": PASSWORD}, expect=401)
    return new, tokens


async def passwords(town: Town, address: str, tokens: dict[str, Any]) -> None:
    elsewhere = await town.login(address)
    change = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    await town.ask("POST", f"{V1}/change-password", change, token=tokens["accessToken"], expect=204)
    await town.is_out(elsewhere["accessToken"])
    await town.ask("POST", f"{V1}/forgot-password", {"email": address}, expect=204)
    reset = {"token": await town.post.token(address, "Set a new password for Kelmah"), "newPassword": PASSWORD}
    await town.ask("POST", f"{V1}/reset-password", reset, expect=204)
    await town.ask("POST", f"{V1}/reset-password", reset, expect=400, code="auth.token_refused")
    await town.is_out(tokens["accessToken"])

    # A stranger knows the password, and logs in from elsewhere; the owner undoes it from the mail.
    stranger = await town.login(address, device=new_id())
    token = await town.post.token(address, "A new device signed in to Kelmah")
    await town.ask("POST", f"{V1}/not-me", {"token": token}, expect=204)
    await town.is_out(stranger["accessToken"])
    await town.ask("POST", f"{V1}/login", {"email": address, "password": PASSWORD}, expect=401)
    reset["token"] = await town.post.token(address, "Set a new password for Kelmah")
    await town.ask("POST", f"{V1}/reset-password", reset, expect=204)
    await town.login(address)


async def administration(town: Town) -> None:
    """From the machine room to the second factor, and then to somebody else's role."""
    address, (_, somebody) = f"boss.{new_id()}@example.com", await town.join("worker")
    options = ("--role", "admin", "--first-name", "Yaa", "--last-name", "Boateng", "--password-variable", "NEW")
    env = {**town.platform.env, "NEW": PASSWORD}
    assert (await run("kelmah", "users", "create", address, *options, env=env)).status == 0
    user_id = somebody["user"]["id"]
    role = {"role": "support", "reason": "Joins the support team"}
    path = f"/api/v1/admin/users/{user_id}"
    await town.ask("PUT", f"{path}/role", role, token=somebody["accessToken"], expect=403, code="forbidden")

    boss = await town.login(address)
    await town.ask("PUT", f"{path}/role", role, token=boss["accessToken"], expect=403, code="second_factor_required")
    secret = (await town.ask("POST", f"{V1}/mfa/setup", token=boss["accessToken"])).data["secret"]
    await town.ask("POST", f"{V1}/mfa/verify", {"code": code_of(secret)}, token=boss["accessToken"])
    boss |= (await town.ask("POST", f"{V1}/refresh", {"refreshToken": boss["refreshToken"]})).data
    await town.ask("DELETE", f"{path}/sessions", token=boss["accessToken"], expect=204)
    await town.is_out(somebody["accessToken"])
    changed = (await town.ask("PUT", f"{path}/role", role, token=boss["accessToken"])).data
    assert (changed["oldRole"], changed["newRole"]) == ("worker", "support")
    sealed = await run("kelmah", "keys", "rotate", "--what", "fields", env=town.platform.env)
    assert (sealed.status, "0 documents encrypted anew" in sealed.stdout) == (0, True), sealed.stderr
    await town.ask("DELETE", f"{V1}/sessions", token=boss["accessToken"], expect=204)
    await town.is_out(boss["accessToken"])


async def rest_and_end(town: Town) -> None:
    address, tokens = await town.join("hirer")
    await town.ask("POST", f"{V1}/me/deactivate", token=tokens["accessToken"], expect=204)
    await town.is_out(tokens["accessToken"])
    body = {"email": address, "password": PASSWORD}
    await town.ask("POST", f"{V1}/login", body, expect=403, code="auth.account_deactivated")
    woken = (await town.ask("POST", f"{V1}/login", body | {"reactivate": True})).data
    await town.ask("DELETE", f"{V1}/me", token=woken["accessToken"], expect=204)
    await town.is_out(woken["accessToken"])
    await town.ask("POST", f"{V1}/login", body, expect=401, code="auth.invalid_credentials")
