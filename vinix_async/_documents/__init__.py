"""The document classes, and the functions that read them from JSON and write them back."""
