"""Wallets, escrow and the ledger."""
