"""Kelmah: a marketplace for skilled trade work."""
