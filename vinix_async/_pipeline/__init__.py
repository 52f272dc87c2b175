"""The steps of a call: token, rate limit, attempt, response, retry."""
