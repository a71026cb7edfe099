"""The unit dropout."""
