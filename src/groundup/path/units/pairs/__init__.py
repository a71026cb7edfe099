"""The unit pairs."""
