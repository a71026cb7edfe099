"""The unit repetition_penalty."""
