"""Neurons over time, and the sums that batch norm takes of their currents."""
