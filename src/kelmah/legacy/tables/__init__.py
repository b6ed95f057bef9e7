"""The baseline: the relational schema that a predecessor of this platform has. Alembic manages it.

Rows of one old service are tied by foreign keys; across old services (a job's hirer, a contract's sides) there are
none, as there are none in such systems: each service had tables of its own in one database.
"""

from kelmah.legacy.tables import jobs, messages, money, people, profiles, reviews
from kelmah.legacy.tables.base import metadata

__all__ = ["jobs", "messages", "metadata", "money", "people", "profiles", "reviews"]
