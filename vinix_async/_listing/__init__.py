"""Listings: pages, cursors, checkpoints, many accounts."""
