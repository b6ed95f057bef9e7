"""Talks to OpenID providers: where to send a person, and what the code that comes back proves.

Authlib speaks the protocol; what it leaves to its user is checked here: the issuer of the discovery document and of the
answer, the keys, the algorithm and every claim of the ID token.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx2
import msgspec
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from kelmah.kit import clock
from kelmah.services.auth.errors import OAuthRefused, ProviderUnavailable
from kelmah.services.auth.settings import AuthSettings, OAuthProvider

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0
SCOPE = "openid email profile"
#: Seconds that a provider's clock may be off.
SKEW_S = 60
#: Discovery documents and keys are read again after this long, and keys at once when an unknown one is named.
_REREAD_AFTER = timedelta(hours=1)
#: The one algorithm that every OpenID provider must offer, and the one that these use.
_REGISTRY = JWSRegistry(algorithms=["RS256"], strict_check_header=False)


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of itself (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    #: RFC 9207: it names itself in every answer, so an answer without a name is not its.
    authorization_response_iss_parameter_supported: bool = False


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a provider vouches for."""

    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool = False
    first_name: str | None = None
    last_name: str | None = None


class Provider:
    """One provider. Made by `open_providers`."""

    def __init__(self, name: str, settings: OAuthProvider, client: AsyncOAuth2Client) -> None:
        self.name = name
        self._settings = settings
        self._client = client
        self._discovery: Discovery | None = None
        self._keys: KeySet | None = None
        self._read_at: datetime | None = None

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where to send the person.

        Raises:
            ProviderUnavailable: its discovery document cannot be had.
        """
        discovery = await self._discover()
        extra = {"nonce": nonce} if self._settings.use_nonce else {}
        if self._settings.use_pkce:
            extra["code_verifier"] = verifier
        url, _ = self._client.create_authorization_url(discovery.authorization_endpoint, state=state, **extra)
        return str(url)

    async def identify(self, *, code: str, issuer: str | None, nonce: str, verifier: str) -> Identity:
        """Redeem the code of an answer, and read who it is about.

        Args:
            code: as the answer brought it.
            issuer: the answer's `iss`, if it has one.
            nonce: the one that the person was sent with.
            verifier: likewise.

        Raises:
            OAuthRefused: whatever does not fit.
            ProviderUnavailable: it does not answer.
        """
        discovery = await self._discover()
        if issuer != discovery.issuer and (
            issuer is not None or discovery.authorization_response_iss_parameter_supported
        ):
            raise self._refused("issuer_of_answer")
        token = await self._redeem(discovery, code, verifier)
        access_token, id_token = token.get("access_token"), token.get("id_token")
        if not isinstance(access_token, str) or not isinstance(id_token, str):
            raise self._refused("no_id_token")
        claims = await self._claims(discovery, id_token, access_token, nonce)
        if "email" not in claims and discovery.userinfo_endpoint is not None:
            found = await self._get(discovery.userinfo_endpoint, bearer=access_token)
            if not isinstance(found, dict) or found.get("sub") != claims["sub"]:
                raise self._refused("subject_of_userinfo")
            claims = found | claims
        return _identity(claims)

    async def _redeem(self, discovery: Discovery, code: str, verifier: str) -> Mapping[str, Any]:
        extra = {"code_verifier": verifier} if self._settings.use_pkce else {}
        try:
            found = await self._client.fetch_token(
                discovery.token_endpoint, grant_type="authorization_code", code=code, **extra
            )
        except OAuthError as error:
            raise self._refused("code", detail=str(error.error)) from None
        except (httpx2.HTTPError, ValueError) as error:
            raise self._unavailable(error) from None
        return found if isinstance(found, Mapping) else {}

    async def _claims(self, discovery: Discovery, id_token: str, access_token: str, nonce: str) -> dict[str, Any]:
        try:
            try:
                token = jwt.decode(id_token, await self._key_set(discovery), registry=_REGISTRY)
            except InvalidKeyIdError:
                self._keys = None  # the provider may have new keys
                token = jwt.decode(id_token, await self._key_set(discovery), registry=_REGISTRY)
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": discovery.issuer},
                    "aud": {"essential": True, "value": self._settings.client_id},
                    "sub": {"essential": True},
                },
                {
                    "nonce": nonce if self._settings.use_nonce else None,
                    "client_id": self._settings.client_id,
                    "access_token": access_token,
                },
            )
            claims.validate(now=int(clock.now().timestamp()), leeway=SKEW_S)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise self._refused("id_token", detail=type(error).__name__) from None
        if not isinstance(claims["sub"], str) or not 1 <= len(claims["sub"]) <= 255:
            raise self._refused("subject")
        return dict(claims)

    async def _discover(self) -> Discovery:
        now = clock.now()
        if self._discovery is None or self._read_at is None or now - self._read_at > _REREAD_AFTER:
            found = await self._get(self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            try:
                discovery = msgspec.convert(found, Discovery)
            except msgspec.ValidationError as error:
                raise self._unavailable(error) from None
            if discovery.issuer != self._settings.issuer:
                log.error("auth.oauth.issuer_mismatch", provider=self.name)
                raise ProviderUnavailable
            self._discovery, self._keys, self._read_at = discovery, None, now
        return self._discovery

    async def _key_set(self, discovery: Discovery) -> KeySet:
        if self._keys is None:
            found = await self._get(discovery.jwks_uri)
            listed = found.get("keys") if isinstance(found, dict) else None
            usable = [
                one
                for one in (listed if isinstance(listed, list) else [])
                if isinstance(one, dict) and one.get("kty") == "RSA" and one.get("use", "sig") == "sig"
            ]
            self._keys = KeySet.import_key_set({"keys": usable})
        return self._keys

    async def _get(self, url: str, *, bearer: str | None = None) -> Any:
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {bearer}"} if bearer else {})
        try:
            answer = await self._client.request("GET", url, headers=headers, withhold_token=True)
            answer.raise_for_status()
            return msgspec.json.decode(answer.content)
        except (httpx2.HTTPError, ValueError) as error:
            raise self._unavailable(error) from None

    def _refused(self, reason: str, *, detail: str = "") -> OAuthRefused:
        log.warning("auth.oauth.refused", provider=self.name, reason=reason, detail=detail[:64])
        return OAuthRefused()

    def _unavailable(self, error: Exception) -> ProviderUnavailable:
        log.warning("auth.oauth.unavailable", provider=self.name, error=type(error).__name__)
        return ProviderUnavailable(retry_after_s=5)


def _identity(claims: Mapping[str, Any]) -> Identity:
    def text(name: str) -> str | None:
        found = claims.get(name)
        return found[:254] if isinstance(found, str) and found else None

    return Identity(
        issuer=claims["iss"],
        subject=claims["sub"],
        email=text("email"),
        # Some providers write the word; anything else is no proof.
        email_verified=claims.get("email_verified") is True or claims.get("email_verified") == "true",
        first_name=text("given_name"),
        last_name=text("family_name"),
    )


@asynccontextmanager
async def open_providers(settings: AuthSettings) -> AsyncIterator[dict[str, Provider]]:
    """The providers of the settings by name, each with a client of its own; nothing is asked of them yet."""
    async with AsyncExitStack() as stack:
        providers = {}
        for name, one in settings.oauth.items():
            client = AsyncOAuth2Client(
                one.client_id,
                one.client_secret.get_secret_value(),
                token_endpoint_auth_method=one.auth_method,
                code_challenge_method="S256",
                scope=SCOPE,
                redirect_uri=redirect_uri(settings, name),
                timeout=TIMEOUT_S,
                trust_env=False,
                follow_redirects=False,
            )
            await stack.enter_async_context(client)
            providers[name] = Provider(name, one, client)
        yield providers


def redirect_uri(settings: AuthSettings, provider: str) -> str:
    """The one address at which answers of a provider are taken; registered with it to the letter."""
    return f"{settings.public_url.rstrip('/')}/api/v1/auth/oauth/{provider}/callback"
