"""The unit heads."""
