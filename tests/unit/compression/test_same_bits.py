"""Scores, compressed weights and integers have the same bits on every processor: a recorded run, and forced features.

`tests/golden/same_bits.json` was recorded on one machine; each machine that runs the tests is one more witness. The
child processes below stand for other processors: OpenBLAS, NumPy, the C library and Numba each choose code by features.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden import same_bits
from golden.elsewhere import PLACES, recorded_by, x86

from qpsnn_core.kernels import threads as parallel

RECORDED = json.loads(same_bits.FILE.read_text(encoding="utf-8"))


def test_the_recorded_bits():
    """Stage by stage, so that a difference names the first stage that has it; on two threads, too."""
    before = parallel.threads()
    try:
        for count in (1, 2):
            parallel.set_threads(count)
            assert same_bits.digests() == RECORDED
    finally:
        parallel.set_threads(before)


@x86
@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_the_same_bits_elsewhere(place):
    assert recorded_by("golden.same_bits", place) == RECORDED


def test_a_weight_that_is_a_unit_off_gives_other_bits():
    """The negative control: digests of the arrays themselves, and the Hessian's and the scores' as well."""
    model = same_bits.wide()
    changed = {name: {key: array.copy() for key, array in own.items()} for name, own in model.params.items()}
    weight = changed["linear"]["weight"]
    weight[0, 0] = np.nextafter(weight[0, 0], np.float32(9))
    assert same_bits.digest(same_bits.of_model(model._replace(params=changed))) != same_bits.digest(
        same_bits.of_model(model)
    )
    changed["conv1"]["bn_bias"] = changed["conv1"]["bn_bias"] + np.float32(1e-3)
    name = "wide score sca 1e-06"
    found = dict(same_bits.scored("wide", model._replace(params=changed), same_bits.frames()))
    assert found[name] != RECORDED[name]
