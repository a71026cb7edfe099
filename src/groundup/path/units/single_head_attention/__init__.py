"""The unit single_head_attention."""
