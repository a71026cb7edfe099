"""The unit fit_line."""
