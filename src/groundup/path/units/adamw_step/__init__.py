"""The unit adamw_step."""
