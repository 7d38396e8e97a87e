"""The networks of the paper and others, by name; `from qpsnn_core.zoo import vgg9` for those outside."""
