"""Actors of the payment service."""

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated
from kelmah.contracts.job import CancelledContractFunded, ContractCancelled, MilestoneApproved
from kelmah.services.payment import service
from kelmah.workers import metrics
from kelmah.workers.registry import on_event, on_timer

on_event("payment.refund_contract", ContractCancelled, service.on_contract_cancelled)
on_event("payment.refund_contract", CancelledContractFunded, service.on_contract_cancelled)
on_event("payment.release_escrow", MilestoneApproved, service.on_milestone_approved)
on_event("payment.rest_party", AccountDeactivated, service.on_account_deactivated)
on_event("payment.wake_party", AccountReactivated, service.on_account_reactivated)
on_event("payment.part_with_party", AccountDeleted, service.on_account_deleted)
on_timer("payment.requery_deposit", service.requery_deposit)
on_timer("payment.end_dispute_step", service.end_step)
on_timer("payment.handle_webhook", service.handle_webhook)
on_timer("payment.forget_method", service.forget_method)


async def check_ledger(context: service.Context) -> None:
    """Verify the ledger, and show how it stands."""
    report = await service.check_ledger(context)
    metrics.ledger_faults.set(len(report.faults))
    metrics.ledger_entries.set(report.entries)
    metrics.unreconciled.clear()
    metrics.unreconciled_age_s.clear()
    for currency, (amount, age_s) in (await service.unreconciled(context)).items():
        metrics.unreconciled.labels(currency).set(amount)
        metrics.unreconciled_age_s.labels(currency).set(age_s)


on_timer("payment.check_ledger", check_ledger)
on_timer("payment.reconcile", service.reconcile_daily)
on_timer("payment.send_withdrawal", service.send_withdrawal)
on_timer("payment.requery_withdrawal", service.requery_withdrawal)
