"""Finds what leads two people away from the platform: phone numbers, addresses, links and wishes to be paid aside.

Plain rules, also for the usual ways around them. They flag and never refuse: a wrong flag costs a warning.
"""

import re
import unicodedata

import phonenumbers

from kelmah.contracts.messaging import Flag

#: Numbers as written in these countries, besides any international one.
REGIONS = ("GH", "NG", "CI")
#: Runs of digits that are looked at, a millisecond each; a text with more is flagged for it.
MAX_CANDIDATES = 10
_EMAIL = re.compile(
    r"[\w.+-]{1,64}\s{0,3}(?:@|\(at\)|\[at\])\s{0,3}"
    r"[\w-]{2,63}(?:\s{0,3}(?:\.|\(dot\)|\[dot\]|\sdot\s|\spoint\s)\s{0,3}[a-z]{2,24}){1,4}\b"
    r"|[\w.+-]{1,64}\s(?:at|arobase)\s[\w-]{2,63}(?:\s(?:dot|point)\s[a-z]{2,24}){1,4}\b"
)
_LINK = re.compile(
    r"https?://|\bwww\.|\b(?:wa|t|m|fb)\.me\b|\bbit\.ly\b"
    r"|\b[a-z0-9-]{2,63}\.(?:com|net|org|gh|ng|ci|me|io|co|info|biz|link|app|page|site|online)\b(?:/|\b)"
)
_APPS = re.compile(r"\b(?:whats ?app|watsapp|telegram|signal|imo|viber|messenger)\b")
_PAYMENT = re.compile(
    r"\b(?:mo ?mo|mobile money|m-?pesa|orange money|wave me|cash ?app|western union|money ?gram|bitcoin|usdt)\b"
    r"|\b(?:pay|paid|send|transfer|deposit)\b[^.!?\n]{0,40}"
    r"\b(?:direct(?:ly)?|cash|outside|off ?(?:the )?(?:app|platform|site|kelmah)|account|iban|before)\b"
    r"|\b(?:bank|account) (?:number|details)\b|\biban\b"
    r"|\b(?:outside|off|without) (?:of )?(?:the )?(?:app|platform|site|kelmah|escrow)\b"
    r"|\b(?:paie|payer|payez|envoie|envoyer|envoyez)\b[^.!?\n]{0,40}\b(?:directement|especes|cash|hors)\b"
)
_WORDS = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "un": "1", "deux": "2", "trois": "3", "quatre": "4", "cinq": "5", "sept": "7",
    "huit": "8", "neuf": "9",
}  # fmt: skip
_SPELLED = re.compile(r"\b(?:" + "|".join(_WORDS) + r")\b")
#: Digits with what people put between them. Amounts have a currency before or after.
_SPACED = re.compile(r"(?:\+|\b00?)?\d(?:[\s.\-_/*()]{0,3}[\do]){8,14}")
_AMOUNT = re.compile(
    r"(?:\b(?:ghs|ngn|xof|usd|eur|gh₵|cedis?|naira)|[₵₦$€£])\s{0,3}\d[\d,. ]{0,20}"
    r"|\d[\d,. ]{0,20}(?:\b(?:ghs|ngn|xof|usd|eur|cedis?|naira|cfa)\b|[₵₦€])"
)


def flags_of(text: str) -> list[Flag]:
    """What a text seems to hold, in the order of `Flag`."""
    plain = _plain(text)
    found = {
        Flag.PHONE: _has_phone(plain),
        Flag.EMAIL: _EMAIL.search(plain) is not None,
        Flag.LINK: _LINK.search(_EMAIL.sub(" ", plain)) is not None or _APPS.search(plain) is not None,
        Flag.PAYMENT: _PAYMENT.search(plain) is not None,
    }
    return [flag for flag, is_there in found.items() if is_there]


def _plain(text: str) -> str:
    """Lower case, no accents, no invisible characters, one kind of digit."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    shown = [char for char in decomposed if unicodedata.category(char) not in ("Mn", "Cf")]
    return "".join(str(unicodedata.digit(char)) if char.isdigit() else char for char in shown)


def _has_phone(plain: str) -> bool:
    rest = _AMOUNT.sub(" ", _SPELLED.sub(lambda word: _WORDS[word[0]], plain))
    for count, match in enumerate(_SPACED.finditer(rest)):
        if count == MAX_CANDIDATES:
            return True
        written = match[0].replace("o", "0")
        digits = ("+" if written.startswith("+") else "") + re.sub(r"\D", "", written)
        if any(_is_number(digits, region) for region in REGIONS):
            return True
    return False


def _is_number(digits: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(digits, region))
    except phonenumbers.NumberParseException:
        return False
