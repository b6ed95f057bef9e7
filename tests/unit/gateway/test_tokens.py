"""Access tokens: what passes, and every way of forging one that we know of."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from kelmah.contracts.common import Role
from kelmah.gateway import tokens
from kelmah.gateway.errors import SessionEnded, TokenExpired, TokenRefused
from kelmah.gateway.tokens import Claims, KeyStore, PublishedKey, PublishedKeys, TokenVerifier
from kelmah.kit import clock, errors

ISSUER = "https://kelmah.example"
KEY = OKPKey.generate_key("Ed25519", {"kid": "one"})
OTHER = OKPKey.generate_key("Ed25519", {"kid": "two"})


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    yield
    clock.reset()


def published(key: OKPKey, **changes: Any) -> PublishedKey:
    public = key.as_dict(private=False)
    return PublishedKey(**({"kty": "OKP", "kid": public["kid"], "crv": "Ed25519", "x": public["x"]} | changes))


class Auth:
    """Stands for the auth service's key endpoint."""

    def __init__(self, *keys: PublishedKey) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.is_away = False
        self.time = 1000.0

    async def fetch(self) -> PublishedKeys:
        self.asked += 1
        if self.is_away:
            raise errors.Unavailable
        return PublishedKeys(keys=self.keys)

    def verifier(self, revoked: frozenset[str] = frozenset()) -> TokenVerifier:
        store = KeyStore(self.fetch, monotonic=lambda: self.time)
        return TokenVerifier(store, issuer=ISSUER, is_revoked=revoked.__contains__)


@pytest.fixture
def auth() -> Auth:
    return Auth(published(KEY))


def b64(content: bytes | dict[str, Any]) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    good = {
        "iss": ISSUER, "aud": "kelmah", "sub": "person-1", "sid": "session-1", "role": "worker", "jti": "token-1",
        "iat": now, "exp": now + 600, "auth_time": now - 5, "amr": ["pwd", "otp"],
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(payload: dict[str, Any] | bytes, *, key: OKPKey = KEY, **header: Any) -> str:
    """A token with a good signature over whatever it says."""
    fields = {"alg": "EdDSA", "typ": "at+jwt", "kid": "one"} | header
    fields = {name: value for name, value in fields.items() if value is not None}
    head = f"{b64(fields)}.{b64(payload)}"
    private: Any = key.get_op_key("sign")
    return f"{head}.{b64(private.sign(head.encode()))}"


async def refuses(auth: Auth, token: str) -> None:
    with pytest.raises(TokenRefused):
        await auth.verifier().verify(b"Bearer " + token.encode())


async def test_a_good_token_says_who_it_is(auth: Auth) -> None:
    found = await auth.verifier().verify(b"Bearer " + signed(claims()).encode())
    assert isinstance(found, Claims)
    assert (found.sub, found.sid, found.role) == ("person-1", "session-1", Role.WORKER)
    assert found.auth_time == found.iat - 5
    assert found.amr == ("pwd", "otp")


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
async def test_what_joserfc_itself_issues_is_good(auth: Auth) -> None:
    header = {"alg": "EdDSA", "typ": "at+jwt", "kid": "one"}
    token = jws.serialize_compact(header, json.dumps(claims(aud=["kelmah"])), KEY, algorithms=["EdDSA"])
    assert (await auth.verifier().verify(b"bearer  " + token.encode())).sub == "person-1"


@pytest.mark.parametrize(
    "header",
    [
        b"", b"Bearer", b"Bearer ", b"Basic dTpw", b"Bearer a", b"Bearer a.b", b"Bearer a.b.c", b"Bearer a.b.c.d",
        b"Bearer ..", b"Bearer a.b.c d", b"Bearer a.b.c,d", b"Bearer\ta.b.c", b"Bearer a.b.c ",
    ],
)  # fmt: skip
async def test_what_is_no_token_is_refused(auth: Auth, header: bytes) -> None:
    with pytest.raises(TokenRefused):
        await auth.verifier().verify(header)
    assert auth.asked == 0


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"}, {"alg": "None"}, {"alg": "HS256"}, {"alg": "RS256"}, {"alg": "ES256"}, {"alg": "Ed25519"},
        {"alg": "eddsa"}, {"alg": None}, {"typ": "JWT"}, {"typ": "AT+JWT"}, {"typ": None}, {"kid": None},
        {"kid": "x" * 129}, {"kid": 1}, {"jku": "https://evil.example/jwks"}, {"jwk": {"kty": "OKP"}},
        {"x5u": "https://evil.example"}, {"x5c": ["AA=="]}, {"crit": ["b64"]}, {"b64": False}, {"cty": "JWT"},
        {"zip": "DEF"}, {"extra": 1},
    ],
)  # fmt: skip
async def test_any_other_header_is_refused_however_good_the_signature(auth: Auth, header: dict[str, Any]) -> None:
    await refuses(auth, signed(claims(), **header))
    assert auth.asked == 0


async def test_a_token_without_a_signature_is_refused(auth: Auth) -> None:
    body = b64(claims())
    await refuses(auth, f"{b64({'alg': 'none', 'typ': 'at+jwt', 'kid': 'one'})}.{body}.")
    await refuses(auth, f"{b64({'alg': 'EdDSA', 'typ': 'at+jwt', 'kid': 'one'})}.{body}.")


async def test_the_public_key_is_no_secret_of_an_hmac(auth: Auth) -> None:
    head = f"{b64({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'one'})}.{b64(claims())}"
    for secret in (str(KEY.as_dict(private=False)["x"]).encode(), KEY.as_pem(private=False)):
        await refuses(auth, f"{head}.{b64(hmac.new(secret, head.encode(), hashlib.sha256).digest())}")


async def test_a_key_that_the_token_brings_is_not_used(auth: Auth) -> None:
    await refuses(auth, signed(claims(), key=OTHER, jwk=OTHER.as_dict(private=False)))
    await refuses(auth, signed(claims(), key=OTHER))


async def test_another_body_under_the_same_signature_is_refused(auth: Auth) -> None:
    head, _, signature = signed(claims()).split(".")
    await refuses(auth, f"{head}.{b64(claims(role='admin'))}.{signature}")


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"iss": ISSUER + "/"}, {"aud": "other"}, {"aud": None},
        {"aud": []}, {"aud": ["other"]}, {"aud": "kelmah "}, {"sub": None}, {"sub": ""}, {"sub": "a b"}, {"sub": 7},
        {"sub": "x" * 65}, {"sid": None}, {"role": "boss"}, {"role": None}, {"exp": None}, {"exp": "9999999999"},
        {"exp": True}, {"iat": None}, {"jti": None}, {"amr": "pwd"}, {"iat": 9_999_999_999}, {"nbf": 9_999_999_999},
    ],
)  # fmt: skip
async def test_other_claims_are_refused_however_good_the_signature(auth: Auth, change: dict[str, Any]) -> None:
    await refuses(auth, signed(claims(**change)))


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{", b'"x"', b"\xff"])
async def test_a_body_that_is_no_object_is_refused(auth: Auth, payload: bytes) -> None:
    await refuses(auth, signed(payload))


async def test_clocks_may_differ_by_a_minute(auth: Auth) -> None:
    verifier, now = auth.verifier(), int(clock.now().timestamp())
    early = signed(claims(iat=now + 55, nbf=now + 55)).encode()
    assert (await verifier.verify(b"Bearer " + early)).sub == "person-1"
    await refuses(auth, signed(claims(nbf=now + 65)))
    late = signed(claims(exp=now - 55)).encode()
    assert (await verifier.verify(b"Bearer " + late)).sub == "person-1"
    with pytest.raises(TokenExpired):
        await verifier.verify(b"Bearer " + signed(claims(exp=now - 65)).encode())


async def test_a_token_that_was_remembered_still_expires(auth: Auth) -> None:
    verifier, token = auth.verifier(), b"Bearer " + signed(claims()).encode()
    await verifier.verify(token)
    clock.shift(timedelta(seconds=665))
    with pytest.raises(TokenExpired):
        await verifier.verify(token)


async def test_a_token_of_an_ended_session_is_refused_though_remembered(auth: Auth) -> None:
    ended: set[str] = set()
    store = KeyStore(auth.fetch, monotonic=lambda: auth.time)
    verifier = TokenVerifier(store, issuer=ISSUER, is_revoked=lambda session_id: session_id in ended)
    token = b"Bearer " + signed(claims()).encode()
    await verifier.verify(token)
    ended.add("session-1")
    with pytest.raises(SessionEnded):
        await verifier.verify(token)


async def test_what_is_remembered_lets_no_other_token_in(auth: Auth) -> None:
    verifier, good = auth.verifier(), signed(claims())
    for _ in range(2):  # the keys come with the first
        await verifier.verify(b"Bearer " + good.encode())
    head, body, signature = good.split(".")
    fields = {"alg": "EdDSA", "typ": "at+jwt", "kid": "one"}
    others = [f"{b64(fields | more)}.{body}.{signature}" for more in ({"b64": False}, {"alg": "none"}, {"kid": "two"})]
    others += [signed(claims(), b64=False), f"{b64(fields | {'x': 1})}.{body}.{signature}"]
    others += [f"{head}.{b64(claims(role='admin'))}.{signature}", f"{head}.{body}.{b64(bytes(64))}"]
    others += [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in range(len(good))]
    for other in others:
        with pytest.raises(TokenRefused):
            await verifier.verify(b"Bearer " + other.encode())
    assert list(verifier._remembered) == [b"Bearer " + good.encode()]  # by the whole token, and nothing else


async def test_base64_has_one_spelling(auth: Auth) -> None:
    good = signed(claims())
    head, body, signature = good.split(".")
    assert len(signature) == 86  # 64 bytes: the last character has four spare bits
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = signature[:-1] + alphabet[alphabet.index(signature[-1]) + 1]
    assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(signature + "==")
    await refuses(auth, f"{head}.{body}.{other}")
    for spelling in (f"{head}.{body}.{signature}==", f"{head}.{body}.{signature}=", f"{head}.{body}\n.{signature}"):
        await refuses(auth, spelling)
    standard = good.replace("-", "+").replace("_", "/")
    if standard != good:
        await refuses(auth, standard)


async def test_an_oversized_token_is_refused_before_it_is_read(auth: Auth) -> None:
    token = signed(claims(extra="x" * 4_096))
    assert len(token) > tokens.MAX_TOKEN_CHARS
    await refuses(auth, token)
    assert auth.asked == 0
    small = signed(claims(extra="x" * 2_000))
    assert (await auth.verifier().verify(b"Bearer " + small.encode())).sub == "person-1"


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "EC"},
        {"crv": "X25519"},
        {"use": "enc"},
        {"alg": "ES256"},
        {"kid": ""},
        {"x": ""},
        {"x": "AA"},
        {"x": "\n" * 43},
    ],
)
async def test_published_keys_of_other_kinds_are_not_used(change: dict[str, Any]) -> None:
    await refuses(Auth(published(KEY, **change)), signed(claims()))


async def test_a_new_key_is_found_and_an_unknown_one_asked_for_once_in_a_while(auth: Auth) -> None:
    verifier = auth.verifier()
    await verifier.verify(b"Bearer " + signed(claims()).encode())
    assert auth.asked == 1

    async def attempt(token: str) -> bool:
        try:
            await verifier.verify(b"Bearer " + token.encode())
        except TokenRefused:
            return False
        return True

    for number in range(50):  # soon after a look nobody makes us look again
        assert not await attempt(signed(claims(), key=OTHER, kid=f"unknown-{number}"))
    assert auth.asked == 1
    auth.keys.append(published(OTHER))
    auth.time += 6
    assert await attempt(signed(claims(jti="2"), key=OTHER, kid="two"))
    assert auth.asked == 2
    auth.time += 6
    assert not await attempt(signed(claims(), key=OTHER, kid="three"))
    assert auth.asked == 3
    auth.time += 6
    assert not await attempt(signed(claims(), key=OTHER, kid="three"))  # still taken to be unknown
    assert auth.asked == 3
    auth.time += 60
    assert not await attempt(signed(claims(), key=OTHER, kid="three"))
    assert auth.asked == 4


async def test_a_withdrawn_key_is_worth_nothing_though_its_tokens_were_remembered(auth: Auth) -> None:
    verifier, token = auth.verifier(), b"Bearer " + signed(claims()).encode()
    await verifier.verify(token)
    auth.keys = [published(OTHER)]
    auth.time += 6
    await verifier.verify(b"Bearer " + signed(claims(), key=OTHER, kid="two").encode())
    with pytest.raises(TokenRefused):
        await verifier.verify(token)


async def test_a_key_that_changed_under_its_id_counts_as_changed(auth: Auth) -> None:
    verifier, token = auth.verifier(), b"Bearer " + signed(claims()).encode()
    await verifier.verify(token)
    auth.keys = [published(OTHER, kid="one"), published(OTHER)]
    auth.time += 6
    await verifier.verify(b"Bearer " + signed(claims(), key=OTHER, kid="two").encode())
    with pytest.raises(TokenRefused):
        await verifier.verify(token)


async def test_without_keys_nobody_is_called_a_liar(auth: Auth) -> None:
    auth.is_away = True
    verifier, token = auth.verifier(), b"Bearer " + signed(claims()).encode()
    with pytest.raises(errors.Unavailable):
        await verifier.verify(token)
    assert auth.asked == 1
    with pytest.raises(errors.Unavailable):  # those who come at once share the failure
        await verifier.verify(token)
    assert auth.asked == 1
    auth.is_away = False
    auth.time += 1
    assert (await verifier.verify(token)).sub == "person-1"


async def test_known_keys_outlive_an_outage_of_the_auth_service(auth: Auth) -> None:
    verifier = auth.verifier()
    await verifier.verify(b"Bearer " + signed(claims()).encode())
    auth.is_away = True
    auth.time += 3_600
    assert (await verifier.verify(b"Bearer " + signed(claims(sub="person-2")).encode())).sub == "person-2"


async def test_what_is_remembered_is_bounded(auth: Auth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 3)
    monkeypatch.setattr(tokens, "MAX_UNKNOWN", 3)
    store = KeyStore(auth.fetch, monotonic=lambda: auth.time)
    verifier = TokenVerifier(store, issuer=ISSUER, is_revoked=lambda _: False)
    for number in range(5):
        await verifier.verify(b"Bearer " + signed(claims(jti=str(number))).encode())
        assert await store.get(f"unknown-{number}") is None
    assert len(verifier._remembered) == 3
    assert len(store._unknown) == 3
