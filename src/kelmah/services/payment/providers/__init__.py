"""Payment providers, each behind the protocols of `base`; the only place that imports their SDKs."""
