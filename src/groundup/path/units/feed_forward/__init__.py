"""The unit feed_forward."""
