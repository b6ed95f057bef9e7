"""What a worker process is told, besides the settings of the six services that it also reads."""

from typing import ClassVar

from pydantic import Field, SecretStr

from kelmah.kit.settings import Settings


class WorkersSettings(Settings):
    """`port`, when set, serves the workers' metrics."""

    SERVICE: ClassVar[str] = "workers"

    amqp_url: SecretStr | None = Field(None, description="amqp:// URL of RabbitMQ; without it the workers use Redis.")
    quorum_queues: bool = Field(
        False, description="Replicated queues, for a RabbitMQ cluster. Queues that exist keep their kind."
    )
    # Workers sign nothing in their own name: each actor calls with the keys of its service.
    incoming_keys: dict[str, list[SecretStr]] = Field(default_factory=dict)
    outgoing_keys: dict[str, list[SecretStr]] = Field(default_factory=dict)
