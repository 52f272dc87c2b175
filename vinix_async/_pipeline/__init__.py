"""One call: token, rate limit, attempt, response, retry."""
