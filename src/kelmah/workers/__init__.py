"""The Dramatiq side: broker, relay, timers and the table of subscriptions."""

import sys

# `dramatiq kelmah.workers` finds its broker and actors by importing this package, and nobody else may pay for them.
# Only the dramatiq command (and the processes it starts, with its arguments) has imported its own command line.
if "dramatiq.cli" in sys.modules and "kelmah.workers" in sys.argv:
    from kelmah.workers import runtime

    runtime.main()
