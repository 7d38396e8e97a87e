"""What trained and integer networks answer: over a set, as a stream, and how far two runs agree."""
