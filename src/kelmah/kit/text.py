"""Cleans text that people typed: one normal form, no control or reordering characters, addresses, numbers; and says
in which language one is spoken to."""

import re
import unicodedata

import idna
import nh3
import phonenumbers

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_SEPARATORS = frozenset("\u2028\u2029")
_MAX_EMAIL_CHARS = 254
_MAX_LOCAL_BYTES = 64
_MAX_PHONE_CHARS = 32
_LOCAL_PUNCTUATION = frozenset("!#$%&'*+-/=?^_`{|}~.")

#: What people are written in; the first where nobody says.
LANGUAGES = ("en", "fr")


def language_of(wanted: str | None) -> str:
    """The language that we have for a locale or an Accept-Language header: its first known one, else English."""
    for part in (wanted or "").split(",")[:10]:
        language = part.split(";")[0].strip().lower().replace("_", "-").split("-")[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def clean_line(text: str, max_chars: int) -> str:
    """Clean one line: NFC, no space around it.

    Args:
        text: what was typed.
        max_chars: the most characters after cleaning.

    Raises:
        ValueError: too long or invisible, or a line break, a control character or a bidi override; says where.
    """
    text = _normal(text)
    _refuse(text, allowed="")
    if not _LINE_SEPARATORS.isdisjoint(text):
        raise ValueError("the text must be one line")
    return _fitting(text, max_chars)


def clean_name(text: str, max_chars: int) -> str:
    """Clean one line that others read as a name or title; "a < b" is none, "<b>" is HTML.

    Raises:
        ValueError: as `clean_line`, or HTML.
    """
    text = clean_line(text, max_chars)
    if nh3.is_html(text):
        raise ValueError("the text must not contain HTML")
    return text


def clean_text(text: str, max_chars: int) -> str:
    r"""Clean text of several lines: NFC, line breaks as ``\n``, no space around the whole; tabs may stay.

    Args:
        text: what was typed.
        max_chars: the most characters after cleaning.

    Raises:
        ValueError: too long or invisible, or a control character or a bidi override; says where.
    """
    text = _normal(text.replace("\r\n", "\n").replace("\r", "\n"))
    _refuse(text, allowed="\n\t")
    return _fitting(text, max_chars)


def is_email(text: str) -> bool:
    """Tell whether the text is a mail address one can register with.

    One ``@``; 254 characters at most, 64 bytes before the ``@``; letters and digits of any script but no
    quotes, comments, address literals or compatibility forms (such as full-width letters); a domain valid in
    IDNA 2008 with at least two labels.
    """
    local, at, domain = text.rpartition("@")
    return bool(at) and len(text) <= _MAX_EMAIL_CHARS and _is_local(local) and _ascii_domain(domain) is not None


def normalize_email(text: str) -> str:
    """Make the key by which an address is looked up; store the address as typed beside it, and mail to that.

    NFKC and case folding; an international domain becomes its ASCII form.

    Raises:
        ValueError: not a mail address.
    """
    local, _, domain = text.rpartition("@")
    ascii_domain = _ascii_domain(domain)
    if ascii_domain is None or not is_email(text):
        raise ValueError("not a mail address")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", local).casefold()) + "@" + ascii_domain


def normalize_phone(text: str, region: str = "GH") -> str:
    """Make the E.164 form of a phone number, such as ``+233241234567``.

    Args:
        text: national or international, in any usual spelling.
        region: the country of a national number, ISO 3166-1 alpha-2.

    Raises:
        ValueError: not a valid number of any country, or one with an extension.
    """
    if len(text) > _MAX_PHONE_CHARS:
        raise ValueError("not a phone number")
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise ValueError("not a phone number") from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise ValueError("not a phone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip(" \t\r\n"))


def _refuse(text: str, *, allowed: str) -> None:
    for position, char in enumerate(text):
        # Cs: half a surrogate pair, which no encoding of Unicode can carry.
        if char in _BIDI_CONTROLS or (unicodedata.category(char) in ("Cc", "Cs") and char not in allowed):
            name = unicodedata.name(char, "control character")
            raise ValueError(f"the text must not contain U+{ord(char):04X} ({name}), at position {position}")


def _fitting(text: str, max_chars: int) -> str:
    text = text.strip()
    if len(text) > max_chars:
        raise ValueError(f"the text must have at most {max_chars} characters")
    if text and all(unicodedata.category(char)[0] in "CZ" for char in text):  # zero-width characters and spaces alone
        raise ValueError("the text must have a visible character")
    return text


def _is_local(local: str) -> bool:
    if not 1 <= len(local.encode("utf-8", "surrogatepass")) <= _MAX_LOCAL_BYTES:
        return False
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return False
    # Mail libraries take this for the start of an encoded word, which can smuggle in a line break.
    if "=?" in local:
        return False
    # Compatibility forms look like other letters and would fold into another person's key.
    if unicodedata.normalize("NFKC", local) != local:
        return False
    return all(
        char in _LOCAL_PUNCTUATION or unicodedata.category(char)[0] in "LN" or unicodedata.combining(char)
        for char in local
    )


def _ascii_domain(domain: str) -> str | None:
    try:
        ascii_domain = idna.encode(domain.lower(), strict=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not re.fullmatch(r"[a-z][a-z0-9-]*", labels[-1]):
        return None
    return ascii_domain
