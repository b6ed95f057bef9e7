"""Thin Dramatiq actors, one file a service."""
