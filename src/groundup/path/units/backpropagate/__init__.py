"""The unit backpropagate."""
