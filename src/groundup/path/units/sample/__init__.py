"""The unit sample."""
