"""The unit mixed_precision."""
