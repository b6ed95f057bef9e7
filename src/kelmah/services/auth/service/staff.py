"""What the machine room does from the command line: staff accounts and signing keys."""

from kelmah.contracts.auth import AccountView, PublicKeys
from kelmah.contracts.common import Role
from kelmah.services.auth import mapping
from kelmah.services.auth.service.accounts import create_account
from kelmah.services.auth.service.context import Context


async def create_staff(
    context: Context, *, email: str, password: str, first_name: str, last_name: str, role: Role
) -> AccountView:
    """Make an account of any role with a verified address, for `kelmah users create` and `kelmah seed`.

    Raises:
        BadInput: a field that does not fit.
        PasswordRefused: too easy to guess.
        EmailTaken: there is an account with this address.
    """
    return await create_account(
        context,
        email=email,
        password=password,
        first_name=first_name,
        last_name=last_name,
        role=role,
        verified=True,
    )


async def public_keys(context: Context) -> PublicKeys:
    """The keys that verify access tokens."""
    return mapping.public_keys(await context.signer.keys())


async def rotate_signing_keys(context: Context) -> PublicKeys:
    """Let the next key sign. Tokens of the old one stay good until they expire.

    Raises:
        KeyNotYetPublished: verifiers may not know the next key yet; says how long to wait.
    """
    return mapping.public_keys(await context.signer.rotate())
