"""The operations of the job service."""

from kelmah.kit.exports import export_handler
from kelmah.services.job.controllers import applications, contracts, interest, jobs, planning
from kelmah.services.job.controllers.policy import POLICY
from kelmah.services.job.service.exports import PARTS

CONTROLLERS = [
    *jobs.HANDLERS,
    *applications.HANDLERS,
    *contracts.HANDLERS,
    *interest.HANDLERS,
    *planning.HANDLERS,
    export_handler(PARTS),
]

__all__ = ["CONTROLLERS", "POLICY"]
