"""The operations of the job service."""

from kelmah.services.job.controllers import applications, contracts, jobs
from kelmah.services.job.controllers.policy import POLICY

CONTROLLERS = [*jobs.HANDLERS, *applications.HANDLERS, *contracts.HANDLERS]

__all__ = ["CONTROLLERS", "POLICY"]
