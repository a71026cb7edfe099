"""The unit sinusoidal_positions."""
