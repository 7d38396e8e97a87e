"""The Lava processes of qpsnn and their models: Lava executes every file in here, so nothing else may be."""
