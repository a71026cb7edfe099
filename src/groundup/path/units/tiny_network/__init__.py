"""The unit tiny_network."""
