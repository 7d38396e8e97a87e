"""How near the kernels come to what the machine can do.

To add a kernel:

1. costs.py: a function from the sizes of a layer to the bytes and operations of the kernel, and its name in COSTS. A
   unit that no peak measures yet (products of int8, tiles) is a line of `measure` in peaks.py and one of KINDS in
   model.py.
2. words.py: its formulas and what limits it, under the same name in KERNELS (or in UNTIMED, with the reason).
3. kernels.py (forward, neurons, pools) or gradients.py: a call on the layer, timed.
4. steps.py: the kinds of node whose step calls it, in place of the kernel that it replaces.

tests/unit/benchmarks/test_roofline.py says which of these is missing.
"""
