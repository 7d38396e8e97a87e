"""Mutation testing of the numeric core: cosmic-ray's operators, each mutant against the tests that cover its line.

cosmic-ray's own runner changes the file in place, starts a Python and the same tests for every mutant, and a Python
that imports Numba takes seconds. This one forks a warm process, gives it the changed module as it is imported, and
only the tests that reach the line, the fastest first. The files are never changed.
"""
