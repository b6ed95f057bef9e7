"""Typed clients for the calls between services, one a service."""
