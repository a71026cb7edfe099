"""The unit embed."""
