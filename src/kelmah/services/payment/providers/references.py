"""References that payers type: ISO 11649 creditor references, whose check digits catch a typing error; and IBANs."""

import hashlib
import re

#: Digits after RF and its check digits. Digits alone: of them, every single wrong one is noticed, which is not so
#: where a letter may take the place of a digit.
_LENGTH = 16
#: Looked for at each place, since what is before it may begin alike.
_CANDIDATE = re.compile(rf"(?=(RF\d{{2}}\d{{{_LENGTH}}}))")


def make_reference(name: str) -> str:
    """The creditor reference of a thing of ours: always the same for the same name."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest())
    body = f"{number % 10**_LENGTH:0{_LENGTH}d}"
    return f"RF{98 - _remainder(f'{body}RF00'):02d}{body}"


def find_reference(text: str) -> str | None:
    """The creditor reference in what a payer wrote, spaces or not. None: there is none whose check digits fit."""
    squeezed = re.sub(r"[\s./-]", "", text.upper())
    return next((found for found in _CANDIDATE.findall(squeezed) if is_checked(found)), None)


def is_checked(code: str) -> bool:
    """Whether the check digits (ISO 7064, modulo 97) of a creditor reference or an IBAN fit."""
    return bool(re.fullmatch(r"[A-Z]{2}\d{2}[0-9A-Z]{1,30}", code)) and _remainder(code[4:] + code[:4]) == 1


def _remainder(code: str) -> int:
    return int("".join(str(int(one, 36)) for one in code)) % 97
