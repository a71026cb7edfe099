"""The unit convert_gpt2_weights."""
