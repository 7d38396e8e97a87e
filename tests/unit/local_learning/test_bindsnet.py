"""Single samples agree with BindsNET's, given the same input spikes, weights, adaptations and winners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qpsnn_core.local_learning import STDP, DiehlCook, InhibitoryLIF, LocalModel, SpikeTrains, present_spikes
from qpsnn_core.local_learning.formats import FLOAT

FOLDER = Path(__file__).parents[2] / "golden" / "bindsnet"
NAMES = ("frozen", "pair", "single", "single_strong", "three")


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_bindsnets(name):
    with np.load(FOLDER / f"{name}.npz") as file:
        ref = dict(file)
    inputs, neurons = ref["weights"].shape
    rule = STDP(pre=1e-2, post=1e-1, mu=1.0 if ref["weight_dependent"] else 0.0, total=24.0)
    form, inhibitory = ("three", InhibitoryLIF()) if ref["three"] else ("single", None)
    trains = SpikeTrains(steps=len(ref["winners"]))
    net = DiehlCook(inputs, neurons, form, float(ref["inhibition"]), inhibitory=inhibitory, trains=trains, rule=rule)
    model = LocalModel(net, FLOAT, ref["weights"], ref["theta"], seed=0)
    comp = present_spikes(model, ref["spikes"], learning=bool(ref["learning"]), winners=ref["winners"])
    np.testing.assert_array_equal(comp.winners, ref["winners"])
    np.testing.assert_allclose(comp.model.weights, ref["weights_after"], rtol=0, atol=5e-7)
    np.testing.assert_allclose(comp.model.adaptation, ref["theta_after"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(comp.seen[:2], ref["membrane_range"], rtol=0, atol=1e-4)
    assert (ref["winners"] >= 0).sum() >= 5
    assert (np.abs(ref["weights_after"] - ref["weights"]).max() > 0.05) == bool(ref["learning"])


def test_another_reset_is_another_sample():
    """A negative control: BindsNET's own models reset to -60 mV."""
    from dataclasses import replace

    from qpsnn_core.errors import DataError
    from qpsnn_core.local_learning import AdaptiveLIF

    with np.load(FOLDER / "frozen.npz") as file:
        ref = dict(file)
    trains, neuron = SpikeTrains(steps=len(ref["winners"])), AdaptiveLIF(reset=-60.0)
    shape, rule = ref["weights"].shape, STDP(total=24.0)
    net = DiehlCook(*shape, "single", float(ref["inhibition"]), neuron=neuron, trains=trains, rule=rule)
    model = LocalModel(net, FLOAT, ref["weights"], ref["theta"], seed=0)
    try:
        comp = present_spikes(model, ref["spikes"], learning=False, winners=ref["winners"])
    except DataError:
        return
    same = present_spikes(
        replace(model, network=replace(net, neuron=AdaptiveLIF())),
        ref["spikes"],
        learning=False,
        winners=ref["winners"],
    )
    assert comp.seen.tolist() != same.seen.tolist()
