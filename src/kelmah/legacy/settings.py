"""What a service with a bridge to the old database is told."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr


class BridgeSettings(BaseModel):
    """Where the old database is, and whether the service still asks it."""

    legacy_postgres_url: SecretStr | None = Field(
        None, description="postgresql:// URL of the old database, as long as people are moved out of it."
    )
    legacy_mapping: Path | None = Field(
        None, description="Where that database differs from the baseline: a file of `kelmah legacy adopt`."
    )
    legacy_bridge: bool = Field(
        True, description="Whether this service asks the old database for people who were not moved yet."
    )
