"""What an integer network takes of Intel's Loihi chips: how it maps to cores, what fits, and what does not."""
