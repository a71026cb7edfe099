"""The unit bpe_codec."""
