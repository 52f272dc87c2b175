"""What the server's JSON becomes."""
