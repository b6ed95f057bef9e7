"""The operations of the job service."""

from kelmah.services.job.controllers import applications, contracts, interest, jobs, planning
from kelmah.services.job.controllers.policy import POLICY

CONTROLLERS = [*jobs.HANDLERS, *applications.HANDLERS, *contracts.HANDLERS, *interest.HANDLERS, *planning.HANDLERS]

__all__ = ["CONTROLLERS", "POLICY"]
