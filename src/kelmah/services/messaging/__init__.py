"""Conversations, files, presence and notifications."""
