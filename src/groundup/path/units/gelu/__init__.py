"""The unit gelu."""
