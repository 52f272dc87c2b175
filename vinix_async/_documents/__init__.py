"""Documents: their classes, and how they are read from JSON and written back."""
