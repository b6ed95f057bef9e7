"""An index for finding people by their mail address whatever its capitals, as the bridge does at each login."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Beside writers, which a plain CREATE INDEX would keep waiting. It cannot run in a transaction, so the limit is
    # the session's; what a run that was cut short left behind is of no use.
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '5s'")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_users_email_folded")
        op.execute("CREATE INDEX CONCURRENTLY ix_users_email_folded ON users (lower(btrim(email)))")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '5s'")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_users_email_folded")
