"""The environment as people see it: `.env.example`, made from the settings themselves, and a check of what is set."""

import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from kelmah import services
from kelmah.cli.asgi import settings_class
from kelmah.cli.development import found_environment
from kelmah.kit.settings import PREFIX, Settings, SettingsError, load, variable_names

EXAMPLE = Path(".env.example")
PROCESSES = ("gateway", *services.NAMES, "workers")
_HEADER = """# Every setting of every process, made by `kelmah env-example`.
# Each may also be given as NAME_FILE, a path to a file that holds the value.
# A shared name (KELMAH_X) serves every process; KELMAH_<SERVICE>_X is for one and wins over it.
# Lines that are not commented out have no default and must be set.
"""


def example(*, check: bool = False) -> None:
    """Write .env.example from the settings classes.

    Args:
        check: write nothing, and fail when the file is stale.
    """
    text = _HEADER + "\n".join(_sections()) + "\n"
    if not check:
        EXAMPLE.write_text(text, encoding="utf-8")
    elif not EXAMPLE.exists() or EXAMPLE.read_text(encoding="utf-8") != text:
        sys.exit(".env.example is stale: run `kelmah env-example` and commit it")


def check(name: str | None = None, /) -> None:
    """Say whether the environment fits one app, or all of them. What a platform that runs here set counts as well.

    Args:
        name: gateway, auth, user, messaging, job, payment, review or workers.
    """
    faults, environ = [], found_environment()
    for one in [name] if name else PROCESSES:
        try:
            load(settings_class(one), environ)
        except SettingsError as error:
            faults.append(str(error))
    faults += _unknown(environ)
    if faults:
        sys.exit("\n".join(faults))
    print("the settings fit")  # noqa: T201  # the command's answer


def _classes() -> list[type[Settings]]:
    return [settings_class(name) for name in PROCESSES]


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = {name for one in _classes() for field in one.model_fields for name in variable_names(one, field)}
    for name in sorted(environ):
        if name.startswith("KELMAH_") and "_TEST_" not in name and name.removesuffix("_FILE") not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else ": unset it")


def _sections() -> Iterator[str]:
    yield "\n# --- every process ---"
    for field, info in Settings.model_fields.items():
        if field != "port":  # each has its own
            yield from _lines(f"{PREFIX}{field.upper()}", info)
    for one in _classes():
        yield f"\n# --- {one.SERVICE} ---"
        for field, info in one.model_fields.items():
            if field == "port" or repr(info) != repr(Settings.model_fields.get(field)):
                yield from _lines(variable_names(one, field)[0], info)


def _lines(variable: str, info: FieldInfo) -> Iterator[str]:
    if info.description:
        yield f"# {info.description}"
    default: Any = info.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        yield f"{variable}="
    else:
        yield f"#{variable}={_text(default)}"


def _text(default: Any) -> str:
    value = to_jsonable_python(default)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
