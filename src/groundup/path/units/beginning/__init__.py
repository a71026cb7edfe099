"""The unit beginning."""
