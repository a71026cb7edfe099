"""The unit decay_groups."""
