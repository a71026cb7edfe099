"""The unit transformer_block."""
