"""HTTP requests and responses, and the transport that exchanges them."""
