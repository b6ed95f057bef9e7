"""Typed settings, read from the environment once, at start.

A field `mongo_url` of the auth service is read from `KELMAH_AUTH_MONGO_URL`, else from `KELMAH_MONGO_URL`; each
also with `_FILE` appended, naming a file that holds the value. Unknown variables are refused by name.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from kelmah.kit.discovery import REGISTRY, is_address

PREFIX = "KELMAH_"


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class SettingsError(Exception):
    """The environment does not fit. The message lists every fault with its fix."""


class Settings(BaseModel):
    """What every process of ours is told. No field that is a secret has a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    SERVICE: ClassVar[str]

    environment: Environment = Environment.DEVELOPMENT
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(0, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_human: bool = Field(False, description="Coloured lines for people instead of JSON.")
    clock_shift_s: int = Field(0, description="Moves this process's clock; refused in production.")
    redis_url: str = Field(description="redis:// or rediss:// URL.")
    redis_prefix: str = Field("kelmah", description="Put before every key and channel, so that platforms can share.")
    public_url: str = Field("http://127.0.0.1:5000", description="Where people reach the gateway; used in mails.")
    max_concurrent_requests: int = Field(64, ge=1, le=4096, description="Requests served at once; more wait in line.")
    max_waiting_requests: int = Field(256, ge=0, le=65536, description="Requests in line; more get 503.")
    max_body_bytes: int = Field(1_048_576, ge=1024, le=67_108_864, description="Largest request body.")
    incoming_keys: dict[str, list[SecretStr]] = Field(
        description='Keys by caller that sign calls to this process, newest first: {"gateway": ["<key>"]}.'
    )
    outgoing_keys: dict[str, list[SecretStr]] = Field(
        description='Keys by callee that sign calls from this process, newest first: {"user": ["<key>"]}.'
    )
    service_urls: dict[str, list[str]] = Field(
        default_factory=dict,
        description='Base URLs by service: {"user": ["http://127.0.0.1:3002"]}; or where to look its instances up: '
        '"dns+http://name:port", "srv+http://_user._tcp.name", or "registry:" for those that entered themselves.',
    )
    advertise_url: str | None = Field(
        None, description="Where others reach this process; if set, it enters itself in the registry."
    )
    advertise_weight: int = Field(1, ge=1, le=1000, description="Its share of the requests, beside other instances'.")
    zone: str = Field("", max_length=64, description="Where it runs; instances of the same zone are preferred.")
    version: str = Field("", max_length=64, description="What it runs, shown by /health of the gateway.")
    linger_s: float = Field(
        0,
        ge=0,
        le=60,
        description="Seconds between SIGTERM and the end of listening, in which those who send requests notice; "
        "with several instances at least 4.",
    )

    @field_validator("service_urls")
    @classmethod
    def _are_addresses(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for address in (one for addresses in value.values() for one in addresses):
            if not is_address(address):
                raise ValueError(f"{address!r} is no http, https, dns+http or srv+http URL, nor {REGISTRY!r}")
        return value


class ServiceSettings(Settings):
    """What every service with a database is told."""

    mongo_url: str = Field(description="mongodb:// URL of a replica set.")
    mongo_database: str = Field(description="The service's own database.")
    mongo_pool_size: int = Field(64, ge=1, le=1000, description="Connections to MongoDB.")
    field_keys: list[SecretStr] = Field(
        min_length=1, description="Base64 keys of 32 bytes that encrypt personal data, newest first."
    )


class FileSettings(ServiceSettings):
    """What a service that takes files is told: who looks through them."""

    unscanned_files: bool = Field(False, description="Take files without a scanner, also in production.")
    clamd_url: str | None = Field(
        None,
        validate_default=True,
        description="clamd that scans files: tcp://host:3310 or unix:///path. Unset scans nothing.",
    )

    @field_validator("clamd_url")
    @classmethod
    def _scans_in_production(cls, url: str | None, info: ValidationInfo) -> str | None:
        is_production = info.data.get("environment") is Environment.PRODUCTION
        if url is None and is_production and not info.data.get("unscanned_files"):
            setting = f"{PREFIX}{cls.SERVICE.upper()}_UNSCANNED_FILES"
            raise ValueError(f"production needs a scanner, or {setting}=true to do without")
        return url


SettingsT = TypeVar("SettingsT", bound=Settings)


def variable_names(settings_class: type[Settings], field: str) -> tuple[str, str]:
    """The service's own variable and the shared one, in the order they are looked up."""
    return f"{PREFIX}{settings_class.SERVICE.upper()}_{field.upper()}", f"{PREFIX}{field.upper()}"


def load(settings_class: type[SettingsT], environ: Mapping[str, str]) -> SettingsT:
    """Read the settings of one process.

    Raises:
        SettingsError: variables are missing, unknown or do not fit; says which, and what to do.
    """
    values: dict[str, Any] = {}
    faults = list(_unknown(settings_class, environ))
    for field, info in settings_class.model_fields.items():
        for name in variable_names(settings_class, field):
            text = _read(name, environ, faults)
            if text is not None:
                values[field] = _parse(text, info.annotation)
                break
    try:
        settings = settings_class.model_validate(values)
    except ValidationError as error:
        faults += [_fault(settings_class, one["loc"], one["msg"], one["type"]) for one in error.errors()]
        raise SettingsError(_report(settings_class, faults)) from None
    if settings.environment is Environment.PRODUCTION and settings.clock_shift_s:
        faults.append("KELMAH_CLOCK_SHIFT_S is for tests: unset it in production")
    if faults:
        raise SettingsError(_report(settings_class, faults))
    return settings


def _read(name: str, environ: Mapping[str, str], faults: list[str]) -> str | None:
    if (path := environ.get(name + "_FILE")) is not None:
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            faults.append(f"{name}_FILE: cannot read {path}: {error.strerror}")
            return None
    return environ.get(name)


def _parse(text: str, annotation: Any) -> Any:
    """Lists and objects are written as JSON; everything else as it is."""
    if str(annotation).startswith(("dict", "list", "tuple")):
        try:
            return json.loads(text)
        except ValueError:
            return text  # the validator names the field and what it should be
    return text


def _unknown(settings_class: type[Settings], environ: Mapping[str, str]) -> Iterator[str]:
    """Variables with this service's own prefix that no field takes. Other services' names are their business."""
    own = f"{PREFIX}{settings_class.SERVICE.upper()}_"
    known = {variable_names(settings_class, field)[0] for field in settings_class.model_fields}
    for name in environ:
        if name.startswith(own) and name.removesuffix("_FILE") not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"{name} is not a setting" + (f": did you mean {near[0]}?" if near else ": unset it")


def _fault(settings_class: type[Settings], location: tuple[int | str, ...], message: str, kind: str) -> str:
    own, shared = variable_names(settings_class, str(location[0]))
    if kind == "missing":
        description = settings_class.model_fields[str(location[0])].description or ""
        return f"set {own} or {shared}: {description}".rstrip(": ")
    where = "".join(f"[{part!r}]" for part in location[1:])
    return f"{own} (or {shared}){where}: {message}"


def _report(settings_class: type[Settings], faults: list[str]) -> str:
    lines = "\n".join(f"  - {fault}" for fault in faults)
    return f"the settings of {settings_class.SERVICE!r} do not fit:\n{lines}"
