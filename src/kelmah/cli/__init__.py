"""The `kelmah` command: the composition root that builds settings and starts every process."""

from cyclopts import App

_app = App(name="kelmah", help="Runs and looks after a Kelmah marketplace.", version_flags=["--version"])
_app.command("kelmah.cli.platform:up", name="up")
_app.command("kelmah.cli.serve:serve", name="serve")
_app.command("kelmah.cli.work:work", name="work")
_app.command("kelmah.cli.demo:demo", name="demo")
_app.command("kelmah.cli.seed:seed", name="seed")
_app.command("kelmah.cli.doctor:doctor", name="doctor")
_app.command("kelmah.cli.environment:example", name="env-example")
_app.command("kelmah.cli.environment:check", name="check-config")

_routes = App(name="routes", help="What the gateway lets through.")
_routes.command("kelmah.cli.routes:explain", name="explain")
_app.command(_routes)

_indexes = App(name="indexes", help="The indexes of MongoDB.")
_indexes.command("kelmah.cli.indexes:build", name="build")
_app.command(_indexes)

_ledger = App(name="ledger", help="The ledger of the payment service.")
_ledger.command("kelmah.cli.ledger:verify", name="verify")
_ledger.command("kelmah.cli.ledger:show", name="show")
_ledger.command("kelmah.cli.ledger:at", name="at")
_ledger.command("kelmah.cli.ledger:resume", name="resume")
_app.command(_ledger)

_keys = App(name="keys", help="The keys of the auth service.")
_keys.command("kelmah.cli.auth:rotate_keys", name="rotate")
_app.command(_keys)

_users = App(name="users", help="Accounts.")
_users.command("kelmah.cli.auth:create_user", name="create")
_app.command(_users)

_auth = App(name="auth", help="The auth service.")
_auth.command("kelmah.cli.auth:calibrate", name="calibrate")
_app.command(_auth)

_contracts = App(name="contracts", help="The schemas that consumers build on.")
_contracts.command("kelmah.cli.contracts:export", name="export")
_app.command(_contracts)

_match = App(name="match", help="The matching of jobs and workers.")
_match.command("kelmah.cli.match:evaluate", name="evaluate")
_app.command(_match)

_events = App(name="events", help="The events of the six services: what happened, in what order, proven.")
for _name in ("list", "show", "verify", "topology", "at", "forget"):
    _events.command(f"kelmah.cli.events:{_name}_", name=_name)
_app.command(_events)

_dlq = App(name="dlq", help="Messages that were given up.")
for _name in ("list", "show", "replay", "discard"):
    _dlq.command(f"kelmah.cli.dlq:{_name}_", name=_name)
_app.command(_dlq)
_app.command("kelmah.cli.audit:audit", name="audit")


@_routes.default
def _list_routes(*, file: str | None = None) -> None:
    """List the routes of a route file, checked; those of the packaged one if none is named.

    Args:
        file: the route file.
    """
    from kelmah.cli.routes import show

    show(file)


def main() -> None:
    """The console script."""
    _app()
