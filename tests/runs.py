"""Runs that are stopped, and runs that are compared bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np


def arrays(checkpoint):
    """All arrays of a run by their place."""
    model, optimizer = checkpoint.model, checkpoint.optimizer
    groups = {"params": model.params, "state": model.state, **optimizer.slots}
    return {(g, n, a): array for g, nodes in groups.items() for n, inner in nodes.items() for a, array in inner.items()}


def same_runs(a, b):
    """Bit for bit, but for the seconds."""
    left, right = arrays(a.checkpoint), arrays(b.checkpoint)
    assert left.keys() == right.keys()
    for place, array in left.items():
        assert array.dtype == right[place].dtype
        np.testing.assert_array_equal(array, right[place], err_msg=str(place))
    assert a.checkpoint.optimizer.step == b.checkpoint.optimizer.step
    assert a.checkpoint.position == b.checkpoint.position
    assert [replace(e, seconds=0.0) for e in a.history] == [replace(e, seconds=0.0) for e in b.history]


class Stop:
    """Ctrl-C after the given number of events, once."""

    def __init__(self, after):
        self.after = after
        self.seen = []

    def __call__(self, event):
        self.seen.append(event)
        if len(self.seen) == self.after:
            raise KeyboardInterrupt
