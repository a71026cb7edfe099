"""The unit shapes."""
