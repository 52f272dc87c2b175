"""Listings of one account and sweeps over many accounts: pages, cursors and checkpoints."""
