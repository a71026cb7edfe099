"""The unit gpt_forward."""
