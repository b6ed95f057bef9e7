import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelmah.kit.text import clean_line, clean_name, clean_text, is_email, normalize_email, normalize_phone

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


def test_a_line_is_trimmed_and_composed() -> None:
    assert clean_line("  Kofi\u00a0 ", 10) == "Kofi"
    assert clean_line("Ame\u0301", 4) == "Amé"
    assert clean_line("", 5) == ""
    assert clean_line("👩🏾\u200d🔧 شغل", 10) == "👩🏾\u200d🔧 شغل"


@pytest.mark.parametrize("char", [*CONTROLS, *BIDI, "\ud800"])
def test_a_line_refuses_control_and_bidi_characters(char: str) -> None:
    with pytest.raises(ValueError, match=rf"U\+{ord(char):04X} \(.*\), at position 2"):
        clean_line(f"ab{char}cd", 10)


def test_a_name_has_no_markup() -> None:
    for text in ("1 < 2 and 3 > 2", "Tom & Jerry", "R&D <3"):
        assert clean_name(text, 40) == text
    for text in ("<b>Ama</b>", "Ama<script>", "<img src=x onerror=y>", "</title>"):
        with pytest.raises(ValueError, match="HTML"):
            clean_name(text, 40)


@pytest.mark.parametrize("char", "\u2028\u2029")
def test_a_line_refuses_line_separators(char: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        clean_line(f"a{char}b", 10)
    assert clean_text(f"a{char}b", 10) == f"a{char}b"


def test_the_character_is_named() -> None:
    with pytest.raises(ValueError, match=r"U\+202E \(RIGHT-TO-LEFT OVERRIDE\), at position 3"):
        clean_line("cv-\u202efdp.exe", 50)


@pytest.mark.parametrize("char", [*(char for char in CONTROLS if char not in "\t\n\r"), *BIDI])
def test_text_refuses_control_and_bidi_characters(char: str) -> None:
    with pytest.raises(ValueError, match=rf"U\+{ord(char):04X}"):
        clean_text(f"ab{char}cd", 10)


def test_text_keeps_lines_and_tabs() -> None:
    assert clean_text("\r\none\r\n\ttwo\rthree\n", 100) == "one\n\ttwo\nthree"


@given(st.text(max_size=60), st.integers(0, 60))
def test_cleaned_text_is_clean(text: str, max_chars: int) -> None:
    try:
        cleaned = clean_text(text, max_chars)
    except ValueError:
        return
    assert clean_text(cleaned, max_chars) == cleaned
    assert cleaned == cleaned.strip()
    assert unicodedata.is_normalized("NFC", cleaned)
    assert len(cleaned) <= max_chars


@pytest.mark.parametrize("clean", [clean_line, clean_text])
def test_length_counts_after_cleaning(clean: type) -> None:
    assert clean(" abc ", 3) == "abc"
    with pytest.raises(ValueError, match="at most 3 characters"):
        clean("abcd", 3)


@pytest.mark.parametrize(
    "text",
    [
        "ama@example.com",
        "ama.mensah+jobs@mail.example.co.uk",
        "o'neil_1@x-y.org",
        "Kwame@EXAMPLE.com",
        "jürgen@bücher.example",
        "a@xn--bcher-kva.example",
        "l" * 64 + "@example.com",
        "a@" + ".".join(["d" * 62] * 3 + ["d" * 55, "com"]),
    ],
)
def test_addresses(text: str) -> None:
    assert is_email(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ama",
        "@example.com",
        "ama@",
        "ama@localhost",
        "ama@example.com.",
        "ama@.example.com",
        "ama@exa mple.com",
        "ama@-example.com",
        "ama@exam_ple.com",
        "ama@127.0.0.1",
        "ama@[127.0.0.1]",
        "a@b@example.com",
        ".ama@example.com",
        "ama.@example.com",
        "a..b@example.com",
        '"ama"@example.com',
        "ama @example.com",
        " ama@example.com",
        "ama@example.com\n",
        "ama\r\nBcc: x@example.com",
        "am\x00a@example.com",
        "am\u202ea@example.com",
        "am\u200ba@example.com",
        "\uff41ma@example.com",
        "\u212bma@example.com",
        "ama@ex\u202eample.com",
        "=?utf-8?q?a=0D=0ABcc?=@example.com",
        "ama@xn--a.com",
        "\ud800@example.com",
        "ama@\ud800.com",
        "l" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "a@" + ".".join(["d" * 62] * 3 + ["d" * 60, "com"]),
        "a@" + "d" * 64 + ".com",
    ],
)
def test_no_addresses(text: str) -> None:
    assert is_email(text) is False
    with pytest.raises(ValueError, match="not a mail address"):
        normalize_email(text)


def test_addresses_are_looked_up_in_one_form() -> None:
    assert normalize_email("Ama.Mensah@Example.COM") == "ama.mensah@example.com"
    assert normalize_email("JÜRGEN@BÜCHER.example") == "jürgen@xn--bcher-kva.example"
    assert normalize_email("jürgen@xn--bcher-kva.example") == "jürgen@xn--bcher-kva.example"


def test_lookalikes_stay_apart() -> None:
    cyrillic = "\u0430ma@example.com"
    assert normalize_email(cyrillic) != normalize_email("ama@example.com")


@given(st.emails())
def test_the_form_is_stable(text: str) -> None:
    if is_email(text):
        assert normalize_email(normalize_email(text)) == normalize_email(text)


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("0241234567", "GH", "+233241234567"),
        (" 024 123 4567 ", "GH", "+233241234567"),
        ("+233 (0)24-123-4567", "GH", "+233241234567"),
        ("+44 20 7946 0958", "GH", "+442079460958"),
        ("08031234567", "NG", "+2348031234567"),
    ],
)
def test_phone_numbers(text: str, region: str, expected: str) -> None:
    assert normalize_phone(text, region) == expected


@pytest.mark.parametrize(
    "text", ["", "12", "abc", "024123456", "+999123456789", "0241234567 ext. 5", "0" * 33, "+233\x00"]
)
def test_no_phone_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="not a phone number"):
        normalize_phone(text)
