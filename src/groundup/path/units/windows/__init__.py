"""The unit windows."""
