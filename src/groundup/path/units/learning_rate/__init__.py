"""The unit learning_rate."""
