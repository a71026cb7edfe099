"""The unit causal_mask."""
