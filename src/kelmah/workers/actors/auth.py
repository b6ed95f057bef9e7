"""Actors of the auth service."""

from kelmah.services.auth import service
from kelmah.workers.registry import on_timer

on_timer("auth.send_verification", service.send_verification)
on_timer("auth.resend_verification", service.send_verification_again)
on_timer("auth.send_password_reset", service.send_password_reset)
on_timer("auth.reset_by_bridge", service.reset_by_bridge)
on_timer("auth.send_email_change", service.send_email_change)
on_timer("auth.send_email_changed", service.send_email_changed)
on_timer("auth.send_known", service.send_known)
on_timer("auth.send_notice", service.send_notice)
on_timer("auth.gather_export", service.gather_export, time_limit_ms=900_000)
on_timer("auth.drop_export", service.drop_export)
