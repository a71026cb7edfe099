"""The unit multi_head_attention."""
