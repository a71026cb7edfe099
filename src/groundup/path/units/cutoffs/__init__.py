"""The unit cutoffs."""
