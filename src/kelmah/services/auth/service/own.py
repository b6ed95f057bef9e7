"""All that this service keeps of a person, for the person."""

from kelmah.contracts.auth import AccountExport, DeviceView
from kelmah.kit import clock
from kelmah.kit.context import Principal, require_fresh
from kelmah.services.auth import mapping
from kelmah.services.auth.documents import api_keys, devices, factors, role_changes, sessions
from kelmah.services.auth.service import oauth, passkeys
from kelmah.services.auth.service.accounts import own_account
from kelmah.services.auth.service.context import Context


async def export(context: Context, *, by: Principal) -> AccountExport:
    """As `everything`, for whoever asks.

    Raises:
        StepUpRequired: the person did not prove lately who they are.
        Unauthenticated: the account is gone.
    """
    require_fresh(by, within_s=context.settings.step_up_s)
    return await everything(context, by)


async def everything(context: Context, by: Principal) -> AccountExport:
    """All that this service keeps of the person.

    Raises:
        Unauthenticated: the account is gone.
    """
    account = await own_account(by)
    now = clock.now()
    live = await sessions.list_live(account.id, now=now, limit=context.settings.max_sessions)
    return AccountExport(
        account=mapping.account_view(account, context.ring),
        exported_at=now,
        sessions=[
            mapping.session_view(one, context.ring, current_id=by.session_id, places=context.places) for one in live
        ],
        identities=(await oauth.list_own(by)).items,
        devices=[
            DeviceView(first_seen_at=one.first_seen_at, last_seen_at=one.last_seen_at)
            for one in await devices.of_account(account.id)
        ],
        passkeys=(await passkeys.list_own(by)).items,
        api_keys=[
            mapping.api_key_view(one)
            for one in await api_keys.list_live(account.id, now=now, limit=context.settings.max_api_keys + 1)
        ],
        role_changes=[mapping.role_change(one) for one in await role_changes.of_account(account.id)],
        second_factor=await factors.confirmed(account.id) is not None,
    )
