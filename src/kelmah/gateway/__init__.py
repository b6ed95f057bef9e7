"""The public edge: routes, tokens, limits and the proxy. Imports no service."""
