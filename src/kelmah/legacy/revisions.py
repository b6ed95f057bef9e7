"""Alembic as a library: which revision a database is at, and going up, down and stamping."""

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext

from kelmah.legacy.database import engine as make_engine

BASELINE, HEAD = "0001", "head"


def config(url: str) -> Config:
    """Alembic's configuration for one database. The scripts are in the wheel, or beside `src` in a checkout."""
    packaged = Path(str(files("kelmah.legacy"))) / "alembic"
    scripts = packaged if packaged.exists() else Path(__file__).parents[3] / "alembic"
    made = Config()
    made.set_main_option("script_location", str(scripts))
    made.attributes["url"] = url
    return made


def upgrade(url: str, revision: str = HEAD) -> None:
    command.upgrade(config(url), revision)


def downgrade(url: str, revision: str) -> None:
    command.downgrade(config(url), revision)


def stamp(url: str, revision: str) -> None:
    """Say that the database is at a revision, and change nothing else."""
    command.stamp(config(url), revision)


def check(url: str) -> None:
    """Raises alembic's CommandError when the tables differ from what the last revision makes."""
    command.check(config(url))


def current(url: str) -> str | None:
    """The revision that the database says it is at."""
    engine = make_engine(url)
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return found
