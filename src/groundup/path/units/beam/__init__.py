"""The unit beam."""
