"""The unit layer_norm."""
