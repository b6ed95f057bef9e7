import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.kit.crypto import DecryptionError, KeyRing, constant_time_equal, digest_token, random_token

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
RING = KeyRing([NEW, OLD])


@given(st.binary(max_size=500), st.binary(max_size=80))
def test_what_is_encrypted_decrypts_in_its_place(plaintext: bytes, context: bytes) -> None:
    assert RING.decrypt(RING.encrypt(plaintext, context=context), context=context) == plaintext


@given(st.text(max_size=200), st.binary(max_size=80))
def test_what_is_sealed_opens_in_its_place(text: str, context: bytes) -> None:
    token = RING.seal(text, context=context)
    assert token.startswith("k1.")
    assert RING.open(token, context=context) == text


@given(st.binary(max_size=60), st.binary(max_size=30), st.data())
def test_a_changed_bit_anywhere_is_noticed(plaintext: bytes, context: bytes, data: st.DataObject) -> None:
    sealed = bytearray(RING.encrypt(plaintext, context=context))
    position = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[position // 8] ^= 1 << (position % 8)
    with pytest.raises(DecryptionError):
        RING.decrypt(bytes(sealed), context=context)


@given(st.binary(max_size=60), st.integers(0, 40))
def test_a_truncated_value_is_refused(plaintext: bytes, cut: int) -> None:
    sealed = RING.encrypt(plaintext, context=b"c")
    with pytest.raises(DecryptionError):
        RING.decrypt(sealed[: len(sealed) - 1 - cut], context=b"c")


@given(st.text(max_size=100))
def test_text_that_was_never_sealed_is_refused(text: str) -> None:
    with pytest.raises(DecryptionError):
        RING.open(text, context=b"c")
    with pytest.raises(DecryptionError):
        RING.open("k1." + text, context=b"c")


def test_a_value_copied_to_another_row_does_not_open() -> None:
    token = RING.seal("0241234567", context=b"auth.user.phone:1")
    with pytest.raises(DecryptionError):
        RING.open(token, context=b"auth.user.phone:2")


def test_a_context_cannot_be_shifted_into_the_header() -> None:
    sealed = RING.encrypt(b"value", context=b"context")
    with pytest.raises(DecryptionError):
        RING.decrypt(sealed, context=sealed[:5] + b"context")


def test_equal_values_have_different_ciphertexts() -> None:
    assert RING.seal("a", context=b"c") != RING.seal("a", context=b"c")


def test_a_token_has_one_spelling() -> None:
    token = RING.seal("ab", context=b"c")  # 35 bytes: two bits of the last character are unused
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(token[-1])
    other = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last ^ 1]
    with pytest.raises(DecryptionError):
        RING.open(token[:-1] + other, context=b"c")
    with pytest.raises(DecryptionError):
        RING.open(token + "=", context=b"c")


def test_old_keys_still_decrypt_and_ask_for_rotation() -> None:
    token = KeyRing([OLD]).seal("secret", context=b"c")
    assert RING.open(token, context=b"c") == "secret"
    renewed = RING.renewed(token, context=b"c")
    assert isinstance(renewed, str)
    assert KeyRing([NEW]).open(renewed, context=b"c") == "secret"
    assert RING.renewed(renewed, context=b"c") is None
    with pytest.raises(DecryptionError):
        RING.renewed(token, context=b"another place")


def test_bytes_are_renewed_as_text_is() -> None:
    sealed = KeyRing([OLD]).encrypt(b"secret", context=b"c")
    renewed = RING.renewed(sealed, context=b"c")
    assert isinstance(renewed, bytes)
    assert KeyRing([NEW]).decrypt(renewed, context=b"c") == b"secret"
    assert RING.renewed(renewed, context=b"c") is None


def test_a_key_outside_the_ring_is_unknown() -> None:
    token = KeyRing([OTHER]).seal("secret", context=b"c")
    with pytest.raises(DecryptionError, match="key is not in the key ring"):
        RING.open(token, context=b"c")
    with pytest.raises(DecryptionError, match="key is not in the key ring"):
        RING.renewed(token, context=b"c")


@given(st.text(max_size=60), st.binary(max_size=20))
def test_blind_indexes_find_values_of_every_key(text: str, context: bytes) -> None:
    stored_before = KeyRing([OLD]).blind_index(text, context=context)
    stored_after = RING.blind_index(text, context=context)
    assert RING.blind_indexes(text, context=context) == [stored_after, stored_before]
    assert len(stored_after) == 43


def test_blind_indexes_differ_by_text_context_and_border() -> None:
    indexes = {
        RING.blind_index("bc", context=b"a"),
        RING.blind_index("c", context=b"ab"),
        RING.blind_index("bc", context=b"b"),
        RING.blind_index("bd", context=b"a"),
        KeyRing([OLD]).blind_index("bc", context=b"a"),
    }
    assert len(indexes) == 5


def test_stored_forms_stay_readable_by_later_versions() -> None:
    # Values made by the first version of this module; a change that breaks them loses data.
    assert (
        RING.open("k1.AalCC6_K0NU1jNL0gQY4XkkrppakzDPLhyqeYt-ECbEgvNPW8IUn-oQudL9fvamX1w", context=b"pinned")
        == "stored for years"
    )
    assert (
        RING.blind_index("+233241234567", context=b"auth.user.phone") == "VO_WjhEPNxA-z35eePNMgSp49RNf-_Ck2B6JF6uulHQ"
    )


@pytest.mark.parametrize("keys", [[], [b"short"], [b"l" * 33], [NEW, OLD, NEW]])
def test_unfit_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="key"):
        KeyRing(keys)


def test_the_ring_does_not_show_its_keys() -> None:
    assert "nnn" not in repr(RING)


def test_tokens_are_long_and_hashed_for_storage() -> None:
    token = random_token()
    assert len(token) == 43
    assert token != random_token()
    assert len(random_token(16)) == 22
    assert digest_token("abc") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(ValueError, match="at least 16"):
        random_token(15)


def test_constant_time_equal() -> None:
    assert constant_time_equal("é", "é".encode()) is True
    assert constant_time_equal(b"a", b"b") is False
    assert constant_time_equal("a", "ab") is False
