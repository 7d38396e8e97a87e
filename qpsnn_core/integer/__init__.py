"""The integer network: its nodes, file, lowering and exact simulator."""
