"""The unit train_step."""
