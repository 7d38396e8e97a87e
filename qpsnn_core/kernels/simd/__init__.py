"""Vectors of 16 numbers, and the LLVM code that their instructions become."""
