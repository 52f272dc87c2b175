"""A copy of the callflows of many accounts in a database, with their history."""
