"""The old Postgres: tables, readers and migration. The only room with SQLAlchemy."""
