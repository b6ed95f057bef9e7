"""What the workers count, in a registry of their own; served when a port is set."""

from prometheus_client import CollectorRegistry, Counter, Gauge

registry = CollectorRegistry()

relay_lag_s = Gauge(
    "kelmah_relay_lag_seconds",
    "Age of the oldest unpublished event, as the relay that holds the lease last saw it.",
    ("service",),
    registry=registry,
)
events_published = Counter(
    "kelmah_events_published", "Events confirmed by the broker.", ("service",), registry=registry
)
timers_fired = Counter("kelmah_timers_fired", "Due timers handed to their actors.", ("service",), registry=registry)
dead_letters = Counter("kelmah_dead_letters", "Messages given up.", ("service", "reason"), registry=registry)
ledger_faults = Gauge(
    "kelmah_ledger_faults", "Broken invariants that the last check of the ledger found.", registry=registry
)
unreconciled = Gauge(
    "kelmah_unreconciled_minor_units",
    "What open differences between ledger, providers and bank are about.",
    ("currency",),
    registry=registry,
)
unreconciled_age_s = Gauge(
    "kelmah_unreconciled_age_seconds", "Age of the oldest open difference.", ("currency",), registry=registry
)
ledger_entries = Gauge("kelmah_ledger_entries", "Entries that the last check of the ledger read.", registry=registry)
