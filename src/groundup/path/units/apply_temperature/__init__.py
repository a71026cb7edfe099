"""The unit apply_temperature."""
