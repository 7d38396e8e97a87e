"""One-shot compression after training (OSBC): unstructured pruning and symmetric quantization, from a few images."""
