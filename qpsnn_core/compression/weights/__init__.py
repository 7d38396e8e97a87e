"""Weights: pruned one by one and quantized after training (OSBC)."""
