"""The unit linear."""
