"""What the review service works with."""

from dataclasses import dataclass

from kelmah.clients.job import JobClient
from kelmah.kit.resources import Resources
from kelmah.services.review.settings import ReviewSettings


@dataclass(frozen=True, kw_only=True)
class Context(Resources):
    """What the review service works with."""

    settings: ReviewSettings
    job: JobClient
