"""How numbers become few bits: the formats, and weights to codes and back (Eqs. 4 to 6, 9 and 10)."""
