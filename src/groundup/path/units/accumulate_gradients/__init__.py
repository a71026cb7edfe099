"""The unit accumulate_gradients."""
