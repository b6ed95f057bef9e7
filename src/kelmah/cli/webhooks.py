"""`kelmah webhooks`: the notices of payment providers that were stored, and having them handled once more."""

import sys
from datetime import datetime

from kelmah.cli import operator
from kelmah.cli.ledger import run
from kelmah.contracts.payment import Provider
from kelmah.services.payment import service


def list_(
    *, provider: Provider | None = None, handled: bool | None = None, since: datetime | None = None, limit: int = 50
) -> None:
    """List stored notices, the latest first.

    Args:
        handled: only those that were handled, or with --no-handled those that were not.
        since: ISO 8601; UTC unless it says otherwise.
    """
    found = run(
        lambda context: service.list_webhooks(
            context, provider=provider, is_handled=handled, since=operator.utc(since), limit=limit
        )
    )
    operator.show_table(
        ("received", "id", "type", "about", "outcome"),
        [
            (one.received_at.isoformat(timespec="seconds"), one.id, one.type, one.ref, one.outcome or "waits")
            for one in found
        ],
    )


def replay_(*webhook_ids: str) -> None:
    """Have notices handled once more. Each asks the provider how things stand, so that nothing moves twice.

    Args:
        webhook_ids: as `list` shows them.
    """
    for webhook_id in webhook_ids:
        operator.act("webhooks replay", "payment", target=webhook_id)
    found = run(lambda context: service.replay_webhooks(context, webhook_ids))
    for webhook_id in found:
        operator.say(webhook_id)
    if missing := sorted(set(webhook_ids) - set(found)):
        sys.exit(f"there is no notice {', '.join(missing)}")
