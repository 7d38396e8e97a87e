"""The only importers of Numba: raw arrays in, raw arrays out."""
