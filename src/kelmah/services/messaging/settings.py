"""What the messaging service is told."""

from typing import ClassVar

from pydantic import Field, SecretStr

from kelmah.kit.settings import FileSettings


class MessagingSettings(FileSettings):
    """Settings of conversations, files, sockets and notifications."""

    SERVICE: ClassVar[str] = "messaging"
    port: int = 3003
    mongo_database: str = "kelmah_messaging"
    max_body_bytes: int = Field(10_489_856, ge=1024, le=67_108_864, description="Largest request body: a whole file.")
    attachment_max_bytes: int = Field(10_485_760, ge=1024, le=67_104_768, description="Largest file in a conversation.")
    attachment_quota_bytes: int = Field(
        1_073_741_824, ge=1024, description="Bytes of files that one person may have in conversations."
    )
    allowed_origins: list[str] = Field(
        default_factory=list, description='Origins whose pages may open a WebSocket: ["https://kelmah.example"].'
    )
    smtp_url: SecretStr = Field(description="smtp:// or smtps:// URL of the mail server.")
    mail_sender: str = Field(description="From: of every mail, such as Kelmah <no-reply@kelmah.example>.")
    messages_per_minute: int = Field(120, ge=1, le=100_000, description="Messages of one person; half of it at once.")
    stranger_messages: int = Field(
        5, ge=1, le=100_000, description="Private messages to somebody who has not answered and has no contract."
    )
    unread_mail_after_s: int = Field(
        900, ge=1, le=604_800, description="Seconds after which an unread message is told of by mail."
    )
    sms_url: SecretStr | None = Field(
        None,
        description="Twilio's API or one like it: https://SID:TOKEN@api.twilio.com?from=Kelmah. Unset sends no SMS.",
    )
    vapid_private_key: SecretStr | None = Field(
        None, description="P-256 key of web push, 32 bytes in base64url. Unset pushes nothing."
    )
    push_contact: str = Field("mailto:support@kelmah.example", description="Who push services write to about us.")
    push_origins: list[str] = Field(
        default_factory=lambda: [
            "https://fcm.googleapis.com",
            "https://*.push.services.mozilla.com",
            "https://*.notify.windows.com",
            "https://*.push.apple.com",
        ],
        description="Push services that may be sent to; a * stands for the names before a dot.",
    )
    max_sockets: int = Field(10_000, ge=1, description="Open WebSockets of this process; more get 503.")
    max_sockets_per_person: int = Field(10, ge=1, le=100, description="Open WebSockets of one person; more get 429.")
    socket_queue_frames: int = Field(256, ge=8, le=65_536, description="Frames in line for a socket; more close it.")
    socket_max_frame_bytes: int = Field(131_072, ge=1024, le=1_048_576, description="Largest frame a client may send.")
    socket_frames_per_s: int = Field(10, ge=1, le=1000, description="Frames a second a client may send, 3 s at once.")
    socket_heartbeat_s: int = Field(25, ge=1, le=300, description="Seconds within which a client sends a ping.")
