"""Signed calls: what is signed arrives, and every change of it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from kelmah.contracts.common import Role
from kelmah.kit import clock, signing
from kelmah.kit.context import Principal
from kelmah.kit.signing import SignatureRefused, VerifiedCall

OLD, NEW = SecretStr("old"), SecretStr("new")
SOMEBODY = Principal(user_id="u1", role=Role.HIRER, session_id="s1")
CALL = {"method": "POST", "target": "/api/v1/jobs?x=1"}
BODY = b'{"a":1}'


def signed(**changes: object) -> dict[str, str]:
    values = {
        "caller": "gateway",
        "callee": "job",
        **CALL,
        "digest": signing.body_digest(BODY),
        "principal": SOMEBODY,
        "keys": {"job": [NEW]},
    }
    return signing.sign(**(values | changes))  # type: ignore[arg-type]  # a table of keywords


def verified(headers: dict[str, str], **changes: object) -> VerifiedCall:
    values = {
        "callee": "job",
        **CALL,
        "body": BODY,
        "signature": headers[signing.SIGNATURE_HEADER],
        "identity": headers[signing.IDENTITY_HEADER],
        "keys": {"gateway": [NEW, OLD]},
    }
    return signing.verify(**(values | changes))  # type: ignore[arg-type]  # a table of keywords


def test_a_signed_call_arrives_with_its_caller_and_person() -> None:
    call = verified(signed())
    assert (call.caller, call.principal, call.body_signed) == ("gateway", SOMEBODY, True)


def test_both_keys_are_valid_while_they_rotate() -> None:
    assert verified(signed(keys={"job": [OLD]})).caller == "gateway"


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"target": "/api/v1/jobs?x=2"},
        {"body": b'{"a":2}'},
        {"body": None},
        {"callee": "payment"},
        {"identity": ""},
        {"keys": {"gateway": [OLD]}},
        {"keys": {"user": [NEW]}},
        {"signature": ""},
        {"signature": "v1,gateway,x,n,d,m"},
    ],
)
def test_any_change_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(SignatureRefused):
        verified(signed(), **change)


def test_another_caller_cannot_borrow_a_signature() -> None:
    headers = signed()
    headers[signing.SIGNATURE_HEADER] = headers[signing.SIGNATURE_HEADER].replace("gateway", "payment")
    with pytest.raises(SignatureRefused):
        verified(headers, keys={"gateway": [NEW], "payment": [NEW]})


@pytest.mark.parametrize(("age_s", "is_taken"), [(60, True), (61, False), (-60, True), (-61, False)])
def test_a_signature_is_good_for_a_minute_either_way(
    age_s: int, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    instant = int(clock.timestamp())
    monkeypatch.setattr(clock, "timestamp", lambda: instant)
    headers = signed()
    monkeypatch.setattr(clock, "timestamp", lambda: instant + age_s)
    if is_taken:
        assert verified(headers).caller == "gateway"
    else:
        with pytest.raises(SignatureRefused):
            verified(headers)


def test_a_streamed_body_is_named_as_unsigned() -> None:
    assert verified(signed(digest=signing.UNSIGNED_BODY), body=None).body_signed is False


def test_a_caller_without_a_key_is_told_what_to_set() -> None:
    with pytest.raises(RuntimeError, match="gateway has no key to call job: set outgoing_keys"):
        signed(keys={})


@given(st.lists(st.text(max_size=8), min_size=2, max_size=5), st.data())
def test_no_two_lists_of_parts_sign_the_same(parts: list[str], data: st.DataObject) -> None:
    other = data.draw(st.lists(st.text(max_size=8), min_size=2, max_size=5))
    if parts != other:
        assert signing._mac(NEW, *parts) != signing._mac(NEW, *other)
