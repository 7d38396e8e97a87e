"""Training: the loop, its checkpoints, its history."""
