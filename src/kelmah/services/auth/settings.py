"""What the auth service is told."""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from kelmah.kit.settings import Environment, ServiceSettings
from kelmah.legacy.settings import BridgeSettings

#: Memory times passes of the weakest parameters that OWASP accepts (7 MiB, 5 passes), and its least memory.
_LEAST_WORK_KIB = 7_168 * 5
_LEAST_MEMORY_KIB = 7_168


class OAuthProvider(BaseModel):
    """One OpenID provider: who it is, who we are to it, and what it cannot do."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str = Field(pattern=r"^https?://[^\s?#]+$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    use_pkce: bool = True
    use_nonce: bool = True
    auth_method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"


#: What is known of each provider beforehand. LinkedIn sends no nonce back, and refuses clients that use PKCE.
_KNOWN_PROVIDERS: dict[str, dict[str, Any]] = {
    "google": {"issuer": "https://accounts.google.com"},
    "linkedin": {
        "issuer": "https://www.linkedin.com/oauth",
        "use_pkce": False,
        "use_nonce": False,
        "auth_method": "client_secret_post",
    },
}


def known_issuer(provider: str) -> str:
    """The issuer of a provider that no setting names."""
    return str(_KNOWN_PROVIDERS[provider]["issuer"])


class AuthSettings(BridgeSettings, ServiceSettings):
    """Settings of the auth service."""

    SERVICE: ClassVar[str] = "auth"

    port: int = Field(3001, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    mongo_database: str = Field("kelmah_auth", description="The service's own database.")
    max_body_bytes: int = Field(65_536, ge=1024, le=1_048_576, description="Largest request body.")
    smtp_url: SecretStr = Field(description="smtp://, smtps:// URL of the mail server, with credentials if it asks.")
    mail_sender: str = Field("Kelmah <no-reply@kelmah.example>", description="Whom mails come from.")

    token_issuer: str = Field("https://kelmah.example", description="The `iss` of access tokens.")
    access_token_s: int = Field(600, ge=60, le=900, description="Seconds that an access token lives.")
    session_idle_s: int = Field(
        14 * 86_400, ge=900, le=90 * 86_400, description="Seconds after which an unused session ends."
    )
    session_absolute_s: int = Field(
        60 * 86_400, ge=3600, le=90 * 86_400, description="Seconds after which any session ends."
    )
    max_sessions: int = Field(50, ge=1, le=100, description="Sessions a person may have; a new one ends the oldest.")
    max_api_keys: int = Field(10, ge=1, le=100, description="API keys that a person may have at once.")
    max_passkeys: int = Field(20, ge=1, le=100, description="Passkeys that a person may have.")
    passkey_challenge_s: int = Field(300, ge=30, le=900, description="Seconds to answer with a passkey.")
    passkey_rp_id: str | None = Field(
        None, description="The domain that passkeys belong to; the host of the public address if not given."
    )
    passkey_origins: list[str] = Field(
        default_factory=list,
        description='Origins of the pages that ask for passkeys: ["https://app.example.com"]; the public address if '
        "not given.",
    )
    verification_token_s: int = Field(86_400, ge=600, description="Seconds that a mail's verification token lives.")
    not_me_token_s: int = Field(7 * 86_400, ge=3600, description="Seconds that the link against a new device works.")
    reset_token_s: int = Field(1_800, ge=300, le=86_400, description="Seconds that a mail's reset token lives.")

    export_kept_s: int = Field(
        3 * 86_400, ge=3600, le=30 * 86_400, description="Seconds that an archive of one's data is kept."
    )
    export_link_s: int = Field(300, ge=30, le=3600, description="Seconds that a link to one's archive works, once.")
    export_max_bytes: int = Field(
        268_435_456, ge=1024, le=1_073_741_824, description="Bytes of an archive's content; what is more is left out."
    )

    oauth: dict[str, OAuthProvider] = Field(
        default_factory=dict,
        description='Providers to sign in with: {"google": {"client_id": "…", "client_secret": "…"}, "linkedin": {…}}; '
        "each may also set issuer, use_pkce, use_nonce and auth_method.",
    )
    step_up_s: int = Field(600, ge=60, le=3600, description="Seconds for which an authentication counts as fresh.")
    mfa_challenge_s: int = Field(300, ge=60, le=900, description="Seconds to answer for the second factor.")

    hash_memory_kib: int = Field(19_456, ge=8, le=1_048_576, description="Argon2id memory of one hash, in KiB.")
    hash_passes: int = Field(2, ge=1, le=20, description="Argon2id passes over that memory.")
    hash_lanes: int = Field(1, ge=1, le=16, description="Argon2id lanes.")
    hash_threads: int = Field(2, ge=1, le=64, description="Passwords hashed at once by one process.")
    max_waiting_hashes: int = Field(64, ge=0, le=4096, description="Passwords in line to be hashed; more get 503.")

    breached_passwords: Path | None = Field(
        None,
        description="A file of SHA-1 hashes of leaked passwords, sorted, one a line, as haveibeenpwned.com gives it: "
        "none of them is taken.",
    )

    places: Path | None = Field(
        None,
        description="A file of networks with their country and city in MaxMind's format (.mmdb), from which sessions "
        "say roughly where they are; read again at each start.",
    )

    bcrypt_cost: int = Field(
        0,
        ge=0,
        le=16,
        description="Cost of the old bcrypt hashes: each login takes as long as one of them; 0 when none is left.",
    )

    login_account_quota: int = Field(10, ge=1, description="Logins an account may try in 5 minutes.")
    login_address_quota: int = Field(100, ge=1, description="Logins an address may try in 5 minutes.")
    login_global_quota: int = Field(6_000, ge=1, description="Logins all may try in 5 minutes.")
    register_address_quota: int = Field(300, ge=1, description="Accounts an address may register in an hour.")
    mail_account_quota: int = Field(5, ge=1, description="Mails that may be asked for to one account in an hour.")
    mail_address_quota: int = Field(60, ge=1, description="Mails that an address may ask for in an hour.")

    @property
    def rp_id(self) -> str:
        """The domain that passkeys belong to."""
        return self.passkey_rp_id or urlsplit(self.public_url).hostname or "localhost"

    @property
    def origins(self) -> list[str]:
        """Origins from which passkeys are taken."""
        return self.passkey_origins or [self.public_url.rstrip("/")]

    @field_validator("oauth", mode="before")
    @classmethod
    def _known_providers(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        if unknown := value.keys() - _KNOWN_PROVIDERS.keys():
            raise ValueError(f"only {', '.join(_KNOWN_PROVIDERS)} are known, not {', '.join(sorted(unknown))}")
        return {
            name: _KNOWN_PROVIDERS[name] | given if isinstance(given, dict) else given for name, given in value.items()
        }

    @model_validator(mode="after")
    def _strong_in_production(self) -> Self:
        weak = self.hash_memory_kib < _LEAST_MEMORY_KIB or self.hash_memory_kib * self.hash_passes < _LEAST_WORK_KIB
        if self.environment is Environment.PRODUCTION and weak:
            raise ValueError("hash_memory_kib and hash_passes are below what OWASP accepts: 19456 and 2")
        if self.environment is Environment.PRODUCTION and any(
            not one.issuer.startswith("https://") for one in self.oauth.values()
        ):
            raise ValueError("oauth: an issuer's address starts with https://")
        return self
