"""The networks of the paper and others, by name."""
