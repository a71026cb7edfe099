"""The unit cross_entropy."""
