"""Recipes: everything that a run depends on, one file for each TOML table."""
