"""The unit train_bpe."""
