"""The parts of what each service keeps of a person; each is a file of the person's archive."""

from collections.abc import Mapping

#: Service → its parts, in the order of the archive. A service serves exactly these.
PARTS: Mapping[str, tuple[str, ...]] = {
    "auth": ("account",),
    "user": ("profile",),
    "job": (
        "jobs",
        "job_versions",
        "applications",
        "contracts",
        "templates",
        "invitations",
        "saved_jobs",
        "saved_searches",
    ),
    "messaging": ("conversations", "messages", "notifications", "settings", "blocks", "reports"),
    "payment": (
        "wallet",
        "transactions",
        "deposits",
        "withdrawals",
        "escrows",
        "disputes",
        "methods",
        "referrer",
        "earlier_transactions",
    ),
    "review": ("written", "received", "reputation"),
}
