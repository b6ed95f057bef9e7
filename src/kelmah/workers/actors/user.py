"""Actors of the user service."""

from kelmah.contracts.auth import AccountDeactivated, AccountDeleted, AccountReactivated, RoleChanged, UserRegistered
from kelmah.contracts.job import ContractCancelled, ContractCompleted
from kelmah.contracts.messaging import MessageSent
from kelmah.contracts.review import ReputationChanged
from kelmah.services.user import service
from kelmah.workers.registry import on_event, on_timer

on_event("user.make_profile", UserRegistered, service.on_user_registered)
on_event("user.hide_person", AccountDeactivated, service.on_account_deactivated)
on_event("user.show_person", AccountReactivated, service.on_account_reactivated)
on_event("user.set_role", RoleChanged, service.on_role_changed)
on_event("user.erase_person", AccountDeleted, service.on_account_deleted)
on_event("user.set_reputation", ReputationChanged, service.on_reputation_changed)
on_event("user.note_message", MessageSent, service.on_message_sent)
on_event("user.release_bookings", ContractCancelled, service.on_contract_ended)
on_event("user.release_bookings", ContractCompleted, service.on_contract_ended)
for counted in service.COUNTED:
    on_event("user.count_event", counted, service.on_counted)

on_timer("user.discard_image", service.discard_image)
on_timer("user.measure_response", service.measure_response)
on_timer("user.remind_certificate", service.remind_certificate)
