"""The unit attention_weights."""
