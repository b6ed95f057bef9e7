"""What the gateway is told."""

from ipaddress import ip_network
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from kelmah.kit.settings import Settings

#: Loopback and the private ranges, in which the machine room lives.
PRIVATE_NETWORKS = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")


class GatewaySettings(Settings):
    """Settings of the gateway. It has no database."""

    SERVICE: ClassVar[str] = "gateway"

    port: int = Field(5000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    max_concurrent_requests: int = Field(
        256,
        ge=1,
        le=4096,
        description="Requests served at once, each with a connection to a service; more wait in line.",
    )
    max_concurrent_per_service: int = Field(
        128,
        ge=1,
        le=4096,
        description="Requests at one service at once. With those that wait for a place fewer than "
        "max_concurrent_requests, so that a service that hangs does not stop the others.",
    )
    max_waiting_per_service: int = Field(
        96, ge=0, le=4096, description="Requests that wait for a place at one service; more get 503."
    )
    incoming_keys: dict[str, list[SecretStr]] = Field(
        default_factory=dict, description="Nobody signs calls to the gateway: leave it empty."
    )
    token_issuer: str = Field("https://kelmah.example", description="The `iss` that access tokens must carry.")
    routes_path: str | None = Field(None, description="A route table to use instead of the packaged one.")
    instances: int = Field(
        1,
        ge=1,
        le=1000,
        description="Gateway processes that share the traffic; each takes its part when Redis is away.",
    )
    limit_factor: int = Field(1, ge=1, le=10_000, description="Multiplies every rate limit, for load tests.")
    trusted_proxies: list[str] = Field(
        default_factory=list, description='Networks whose X-Forwarded-For is believed: ["10.0.0.0/8"].'
    )
    allowed_origins: list[str] = Field(
        default_factory=list, description='Origins of web pages that may call us: ["https://app.example.com"].'
    )
    metrics_networks: list[str] = Field(
        default_factory=lambda: list(PRIVATE_NETWORKS), description="Networks that may read /metrics."
    )
    client_timeout_s: int = Field(
        30, ge=1, le=600, description="Seconds of patience with a client that sends or takes a body slowly."
    )
    max_upload_bytes: int = Field(
        33_554_432, ge=1024, le=1_073_741_824, description="Largest body on routes that stream it."
    )
    max_sockets: int = Field(4096, ge=1, le=65536, description="WebSockets open at once in this process.")
    max_sockets_per_address: int = Field(64, ge=1, le=65536, description="WebSockets open at once from one address.")
    max_sockets_per_person: int = Field(
        16, ge=1, le=65536, description="WebSockets open at once of one person who came with a token."
    )
    socket_idle_s: float = Field(
        300, gt=0, le=86_400, description="Seconds without a frame in either direction, after which a socket is closed."
    )
    socket_lifetime_s: float = Field(
        86_400, gt=0, le=604_800, description="Seconds after which any socket is closed; clients connect anew."
    )

    @model_validator(mode="after")
    def _leaves_others_room(self) -> Self:
        if self.max_concurrent_per_service + self.max_waiting_per_service >= self.max_concurrent_requests:
            raise ValueError("requests at one service and in its line must be fewer than max_concurrent_requests")
        return self

    @field_validator("trusted_proxies", "metrics_networks")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ip_network(network)  # says itself what is wrong with it
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if not is_origin(origin):
                raise ValueError(f"{origin!r} is not an origin such as https://app.example.com")
        return value


def is_origin(text: str) -> bool:
    """Whether this is scheme, host and port as a browser writes them, and nothing else."""
    parts = urlsplit(text)
    return (
        parts.scheme in ("http", "https") and text == f"{parts.scheme}://{parts.netloc}".lower() and bool(parts.netloc)
    )
