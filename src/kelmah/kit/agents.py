"""Names a program by its User-Agent, in words that a person knows. It is a hint: anybody may send anything."""

import re

#: In this order: most programs also name those that they are compatible with.
_BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/|\bOpera\b"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS)/"),
    ("Safari", r"\bSafari/"),
    ("Kelmah app", r"\bKelmah/"),
)
_SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("Windows", r"\bWindows\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("macOS", r"\bMac OS X\b|\bMacintosh\b"),
    ("Linux", r"\bLinux\b"),
)


def browser_of(user_agent: str | None) -> str | None:
    return _first(_BROWSERS, user_agent)


def system_of(user_agent: str | None) -> str | None:
    return _first(_SYSTEMS, user_agent)


def device_of(user_agent: str | None) -> str:
    """Such as "Firefox on Windows"."""
    browser, system = browser_of(user_agent), system_of(user_agent)
    return f"{browser or 'A program'} on {system}" if system else browser or "An unknown device"


def _first(names: tuple[tuple[str, str], ...], user_agent: str | None) -> str | None:
    return next((name for name, pattern in names if user_agent and re.search(pattern, user_agent)), None)
