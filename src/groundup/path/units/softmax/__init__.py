"""The unit softmax."""
