"""The synthetic accounts and callflows that a sandbox serves."""
