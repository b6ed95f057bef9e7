"""Runs the revisions of the legacy Postgres, each in a transaction of its own."""

import os

from alembic import context

from kelmah.legacy.database import engine as make_engine
from kelmah.legacy.database import sqlalchemy_url
from kelmah.legacy.tables import metadata

url = context.config.attributes.get("url") or os.environ.get("KELMAH_LEGACY_POSTGRES_URL")
if not url:
    raise SystemExit("set KELMAH_LEGACY_POSTGRES_URL")

if context.is_offline_mode():
    context.configure(url=sqlalchemy_url(url), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = make_engine(url)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transaction_per_migration=True,
            compare_type=True,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
