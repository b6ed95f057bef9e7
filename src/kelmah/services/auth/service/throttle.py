"""Slows down guessing: by account or known device, by network, and by all together.

An account's bucket can be emptied by strangers; a device on which its owner logged in before has a bucket of its own,
so nobody can lock the owner out. Nothing here locks for longer than `LONGEST_DELAY_S`.
"""

from kelmah.kit.ratelimit import Limit
from kelmah.kit.redis import key as redis_key
from kelmah.services.auth.errors import TooManyAttempts
from kelmah.services.auth.service.context import Client, Context

LOGIN_WINDOW_S = 300
HOUR_S = 3_600
#: Wrong passwords in a row after which each further one doubles the delay.
FREE_FAILURES = 5
LONGEST_DELAY_S = 900
#: Seconds after the last failure at which a bucket's failures are forgotten.
_FORGET_AFTER_S = 12 * HOUR_S


async def charge_login(context: Context, client: Client, *, bucket: str) -> None:
    """Take one attempt from every limit, or refuse.

    Args:
        context: the service's.
        client: who tries.
        bucket: whose guesses are counted: an account's, or a known device's.

    Raises:
        TooManyAttempts: with the seconds to wait.
    """
    waiting_ms = int(await context.redis.pttl(_delay_key(context, bucket)))
    if waiting_ms > 0:
        raise TooManyAttempts(retry_after_s=waiting_ms / 1000)
    settings = context.settings
    await _charge(
        context,
        (Limit("login-account", settings.login_account_quota, LOGIN_WINDOW_S), bucket),
        (Limit("login-network", settings.login_address_quota, LOGIN_WINDOW_S), client.network),
        (Limit("login-all", settings.login_global_quota, LOGIN_WINDOW_S), "all"),
    )


async def note_failure(context: Context, *, bucket: str) -> None:
    """Count a wrong password, and make the bucket wait when it was not the first."""
    counter = _failures_key(context, bucket)
    async with context.redis.pipeline(transaction=True) as pipeline:
        pipeline.incr(counter)  # type: ignore[unused-awaitable]  # queued
        pipeline.expire(counter, _FORGET_AFTER_S)  # type: ignore[unused-awaitable]  # queued
        failures, _ = await pipeline.execute()
    if failures > FREE_FAILURES:
        delay_s = min(2 ** min(failures - FREE_FAILURES, 20), LONGEST_DELAY_S)
        await context.redis.set(_delay_key(context, bucket), b"", ex=delay_s)


async def note_success(context: Context, *, bucket: str) -> None:
    """Forget the wrong passwords of a bucket."""
    await context.redis.delete(_failures_key(context, bucket), _delay_key(context, bucket))


async def charge_passkey(context: Context, client: Client) -> None:
    """By network only: a signature cannot be guessed, and whose it would be is not known before it is checked.

    Raises:
        TooManyAttempts: the network, or all together, tried too often.
    """
    settings = context.settings
    await _charge(
        context,
        (Limit("login-network", settings.login_address_quota, LOGIN_WINDOW_S), client.network),
        (Limit("login-all", settings.login_global_quota, LOGIN_WINDOW_S), "all"),
    )


async def charge_registration(context: Context, client: Client) -> None:
    """Raises:
    TooManyAttempts: the network registered too many accounts.
    """
    await _charge(context, (Limit("register-network", context.settings.register_address_quota, HOUR_S), client.network))


async def charge_mail(context: Context, client: Client, *, email_index: str) -> None:
    """Raises:
    TooManyAttempts: too many mails were asked for to this address, or by this network.
    """
    await _charge(
        context,
        (Limit("mail-account", context.settings.mail_account_quota, HOUR_S), email_index),
        (Limit("mail-network", context.settings.mail_address_quota, HOUR_S), client.network),
    )


async def _charge(context: Context, *charges: tuple[Limit, str]) -> None:
    verdict = await context.limiter.check([(limit, who, 1) for limit, who in charges])
    if not verdict.allowed:
        raise TooManyAttempts(retry_after_s=verdict.retry_after_s)


def _failures_key(context: Context, bucket: str) -> str:
    return redis_key(context.settings.redis_prefix, "auth", "failures", bucket)


def _delay_key(context: Context, bucket: str) -> str:
    return redis_key(context.settings.redis_prefix, "auth", "delay", bucket)
