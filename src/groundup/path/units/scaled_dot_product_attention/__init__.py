"""The unit scaled_dot_product_attention."""
