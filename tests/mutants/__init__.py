"""Mutation testing of the numeric core: cosmic-ray's operators, each mutant against the tests that reach its line.

cosmic-ray's own runner changes the file in place, and starts a Python and the same tests for every mutant; a Python
that imports Numba and collects the tests takes ten seconds. This one collects once and forks: a fork gets the changed
code in memory and runs the tests of the line, which most mutants survive for a few milliseconds.
"""
