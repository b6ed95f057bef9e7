"""Random operations with faults, crashes and concurrency, beside a plain model: every invariant holds after each step.

A run is a seed. `KELMAH_TEST_MODEL_RUNS=10000` takes so many with `pytest -m slow -p tests.on_uvloop` on this file;
`KELMAH_TEST_MODEL_SEED=<seed>` begins at another than the first, to run one that failed alone.
"""

import logging
import os
import time
from collections.abc import Iterator

import pytest
import structlog

from kelmah.contracts.payment import Provider
from kelmah.kit import clock
from tests.fakes.cards import FakeCards
from tests.fakes.jobs import FakeJobClient
from tests.integration.payment.conftest import Payments
from tests.integration.payment.model import Model, steps_of

RUNS = int(os.environ.get("KELMAH_TEST_MODEL_RUNS", "500"))
FIRST = int(os.environ.get("KELMAH_TEST_MODEL_SEED", "1"))
#: What grows makes each check dearer; all else stays.
READ_BY_EVERY_CHECK = (
    *("ledger_entries", "ledger_accounts", "escrows", "withdrawals", "deposits", "chargebacks", "disputes", "timers"),
)
#: How many runs are told of together.
TOLD_AFTER = 100


@pytest.fixture
def quiet() -> Iterator[None]:
    """Only errors are logged: thousands of runs write nothing else down."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**before)


async def run(payments: Payments, seed: int) -> Model:
    """One run on empty books."""
    clock.reset()
    for name in READ_BY_EVERY_CHECK:
        await payments.context.mongo.collection(name).delete_many({})
    payments.cards, payments.jobs = FakeCards(payments.cards.read_webhook), FakeJobClient()
    payments.service.replace(providers={Provider.STRIPE: payments.cards}, job=payments.jobs)
    model = Model(payments)
    steps = steps_of(seed)
    for number, step in enumerate(steps, start=1):
        try:
            await model.run(step)
        except Exception as error:
            raise AssertionError(f"KELMAH_TEST_MODEL_SEED={seed}, step {number} of {steps}") from error
    await model.end()
    return model


async def test_a_few_sequences_keep_every_invariant(payments: Payments) -> None:
    for seed in range(-12, 0):  # others than the long ones
        await run(payments, seed)


@pytest.mark.slow
@pytest.mark.timeout(14_400)
async def test_any_sequence_keeps_every_invariant(payments: Payments, quiet: None) -> None:
    began, steps, deaths = time.monotonic(), 0, 0
    for done, seed in enumerate(range(FIRST, FIRST + RUNS), start=1):
        deaths += (await run(payments, seed)).deaths
        steps += len(steps_of(seed))
        if done % TOLD_AFTER == 0 or done == RUNS:
            seconds = time.monotonic() - began
            print(f"{done} runs to seed {seed}: {steps} steps, {deaths} deaths, {seconds:.0f} s", flush=True)
