"""Is it any good? How well a model predicts text that it has never seen."""

from .bits_per_byte import Evaluation, bits_per_byte, evaluate_text, perplexity

__all__ = ["Evaluation", "bits_per_byte", "evaluate_text", "perplexity"]
