"""The unit measures."""
