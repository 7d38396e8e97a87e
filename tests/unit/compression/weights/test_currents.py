"""OSBC of the weights that multiply real currents: a CurrentReadout's."""

from __future__ import annotations

import numpy as np
import pytest
from generators.transformers import random_stream

import qpsnn_core as qp
from qpsnn_core.compression.weights import hessian
from qpsnn_core.engine.passes import forward


@pytest.mark.parametrize("places", ["mean", "each"])
def test_the_hessian_of_a_readout_of_currents_is_that_of_the_currents(places):
    """Of what it reads, added up over sources: of the mean over places, or of every place."""
    model, images = random_stream(("conv", "shortcut"), places)
    found = hessian.hessians(model, [images])
    x = forward(model, images, save_for_backward=True).caches["head"].x
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    np.testing.assert_allclose(found["head"], 2 * rows.T @ rows / len(images), rtol=1e-9)
    assert found["conv0"].any()  # which the readout alone reads
    compressed = qp.compress(model, images, sparsity=0.5, bits=4, ratios="uniform").model
    assert (compressed.params["head"]["weight"] == 0).sum() == 6
