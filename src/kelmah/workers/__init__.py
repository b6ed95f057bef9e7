"""The Dramatiq side: broker, relay, timers and the table of subscriptions."""
