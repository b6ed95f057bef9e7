"""Profiles, skills and discovery."""
