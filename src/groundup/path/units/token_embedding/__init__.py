"""The unit token_embedding."""
