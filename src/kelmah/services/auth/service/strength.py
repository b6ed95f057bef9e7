"""Refuses passwords that are guessed first, and says why."""

import re

from zxcvbn_rs_py import zxcvbn

from kelmah.contracts.common import FieldError
from kelmah.services.auth.errors import PasswordRefused
from kelmah.services.auth.service.context import Context

#: As zxcvbn estimates them: more than the throttle grants in years.
_LEAST_GUESSES = 1_000_000
#: zxcvbn takes seconds for 128 characters that could each stand for several letters.
_JUDGED_CHARS = 40
_SITE = "kelmah"
_LEAST_WORD_CHARS = 3
_COMMON = "This password is too common or follows a pattern that is guessed early"
_BREACHED = "This password is on a list of leaked ones"
_PERSONAL = "Without your name, your e-mail address and the name of this site, too little is left of this password"


async def check(context: Context, password: str, *, field: str, email: str, names: tuple[str, str]) -> None:
    """Raises:
    PasswordRefused: common, patterned, leaked, or made of what everybody knows of the person.
    Busy: too many passwords are being worked on.
    """
    leaked = context.breaches

    def judge() -> str | None:
        if leaked is not None and leaked.has(password):
            return _BREACHED
        return weakness(password, email=email, names=names)

    reason = await context.hasher.run(judge)
    if reason is not None:
        raise PasswordRefused(reason, errors=[FieldError(field=field, message=reason)])


def weakness(password: str, *, email: str, names: tuple[str, str]) -> str | None:
    """Why the password is guessed early, or None. Takes up to 0.2 s."""
    words = _words(email, *names)
    start = password[:_JUDGED_CHARS]
    strength = zxcvbn(start, words)
    if strength.guesses < _LEAST_GUESSES:
        warning = strength.feedback.warning if strength.feedback else None
        return str(warning) if warning else _COMMON
    rest = start.casefold()
    for word in words:
        rest = rest.replace(word, "")
    if rest != start.casefold() and (not rest or zxcvbn(rest).guesses < _LEAST_GUESSES):
        return _PERSONAL
    return None


def _words(email: str, *names: str) -> list[str]:
    """What a password must not be made of, longest first so that no part is left over."""
    pieces = {_SITE, email.casefold(), email.casefold().partition("@")[0]}
    for text in (email, *names):
        pieces |= set(re.findall(r"\w+", text.casefold()))
    return sorted((piece for piece in pieces if len(piece) >= _LEAST_WORD_CHARS), key=lambda word: (-len(word), word))
