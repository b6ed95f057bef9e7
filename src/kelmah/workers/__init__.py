"""The Dramatiq side: broker, relay, timers and the table of subscriptions."""

import sys

# `dramatiq kelmah.workers` finds its broker and actors by importing this package, and nobody else may pay for them:
# only the dramatiq command (and the processes it starts) has imported its own command line.
if "dramatiq.cli" in sys.modules:
    from kelmah.workers import runtime

    runtime.main()
