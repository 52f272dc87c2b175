"""Async client for the callflows of the Vinix telephony API."""

__version__ = "0.1.0"
