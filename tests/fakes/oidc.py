"""An OpenID provider that tells the truth until it is told to lie. Real HTTP, real signatures, real PKCE."""

import asyncio
import base64
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from kelmah.kit import clock
from kelmah.kit.crypto import random_token

CLIENT_ID, CLIENT_SECRET = "kelmah", "a secret of tests only"


@dataclass
class Person:
    """Somebody with an account at the provider."""

    subject: str = field(default_factory=random_token)
    email: str | None = field(default_factory=lambda: f"{random_token(16).lower()}@example.com")
    email_verified: Any = True


class FakeOIDC:
    """The provider. `lie` changes what the next ID token says; the other switches are named for what they do."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.codes: dict[str, tuple[dict[str, str], Person]] = {}
        self.calm()

    def calm(self) -> None:
        """Tell the truth again."""
        self.lie: dict[str, Any] = {}
        self.omit: set[str] = set()
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.signs_with: RSAKey | OctKey | None = None
        self.discovery: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None
        self.replays_codes = False

    def consent(self, url: str, person: Person) -> dict[str, str]:
        """What the person's browser brings back after signing in at `url`."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        code = random_token()
        self.codes[code] = (asked, person)
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, answer = self._answer(scope["path"], headers, body)
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            found = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "authorization_response_iss_parameter_supported": True,
            }
            return 200, found | self.discovery
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path == "/userinfo":
            return 200, self.userinfo or {}
        if path == "/token":
            return self._token(headers, {name: values[0] for name, values in parse_qs(body.decode()).items()})
        return 404, {}

    def _token(self, headers: dict[str, str], form: dict[str, str]) -> tuple[int, Any]:
        basic = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        given = tuple(unquote(part) for part in basic.partition(":")[::2])
        if given != (CLIENT_ID, CLIENT_SECRET):
            return 401, {"error": "invalid_client"}
        found = self.codes.get(form["code"]) if self.replays_codes else self.codes.pop(form["code"], None)
        if found is None:
            return 400, {"error": "invalid_grant"}
        asked, person = found
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        is_same = challenge.rstrip(b"=").decode() == asked["code_challenge"]
        if not is_same or asked["code_challenge_method"] != "S256" or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": person.subject, "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], "email_verified": person.email_verified, "given_name": "Ama",
            "family_name": "Mensah",
        }  # fmt: skip
        if person.email:
            claims["email"] = person.email
        claims = {name: value for name, value in (claims | self.lie).items() if name not in self.omit}
        id_token = self._sign(claims)
        return 200, {"access_token": random_token(), "token_type": "Bearer", "expires_in": 300, "id_token": id_token}

    def _sign(self, claims: dict[str, Any]) -> str:
        if self.header["alg"] == "none":
            parts = (json.dumps(part).encode() for part in (self.header, claims))
            return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
        return jwt.encode(self.header, claims, self.signs_with or self.key, algorithms=[self.header["alg"]])


def query(answer: dict[str, str]) -> str:
    return urlencode(answer)


@asynccontextmanager
async def serving() -> AsyncIterator[FakeOIDC]:
    """A provider on a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        provider = FakeOIDC(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(provider, lifespan="off", log_config=None))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.01)
        try:
            yield provider
        finally:
            server.should_exit = True
            await task
