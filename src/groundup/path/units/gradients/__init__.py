"""The unit gradients."""
