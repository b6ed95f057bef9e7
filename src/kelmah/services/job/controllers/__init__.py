"""The operations of the job service."""

from kelmah.services.job.controllers import applications, contracts, interest, jobs
from kelmah.services.job.controllers.policy import POLICY

CONTROLLERS = [*jobs.HANDLERS, *applications.HANDLERS, *contracts.HANDLERS, *interest.HANDLERS]

__all__ = ["CONTROLLERS", "POLICY"]
