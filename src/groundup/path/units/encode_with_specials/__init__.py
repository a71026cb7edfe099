"""The unit encode_with_specials."""
