"""The old Postgres: its tables, how rows are read out of it, and what is made of them."""
