"""The unit first_words."""
