"""The unit cached_attention."""
