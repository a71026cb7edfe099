"""The unit clip_gradients."""
