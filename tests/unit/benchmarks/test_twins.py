"""The peers' networks against ours, where PyTorch is installed: in the environment of `make bench`."""

from __future__ import annotations

import shutil

import pytest

from benched import TINY, tiny
from benchmarks import contestants

pytest.importorskip("torch", reason="PyTorch is not installed: only make bench installs it")


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("peer", contestants.PEERS)
def test_peers_agree_on_tiny_networks(peer, name, steps):
    pytest.importorskip(peer, reason="only make bench installs the peers")
    from benchmarks import agreement

    measured = agreement.check(peer, tiny(name, steps))
    assert measured.spikes == 0
    assert measured.gradients < 1e-4
    assert measured.free < 1e-5


def test_spikingjelly_agrees_on_a_transformer():
    """A residual stream, attention, a readout of currents, and the sigmoid."""
    pytest.importorskip("spikingjelly", reason="only make bench installs the peers")
    from benchmarks import agreement

    measured = agreement.check("spikingjelly", tiny("transformer", 4))
    assert measured.spikes == 0
    assert measured.gradients < 1e-4


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("peer", contestants.PEERS)
def test_peers_agree_under_autocast_and_are_bfloat16_there(peer, name, steps):
    pytest.importorskip(peer, reason="only make bench installs the peers")
    from benchmarks import agreement

    measured = agreement.check(peer, tiny(name, steps), "autocast eager")
    assert measured.logits > 1e-5  # and below the bounds, which check holds it to
    assert measured.gradients > 1e-4


def test_autocast_changes_the_dtype_of_products_and_of_nothing_that_is_kept(monkeypatch):
    pytest.importorskip("spikingjelly", reason="only make bench installs the peers")
    import torch

    from benchmarks.contestants import pytorch

    for form, dtype in (("eager", torch.float32), ("autocast eager", torch.bfloat16)):
        for work in ("train", "infer_float"):
            seen, twins = set(), []
            fresh = pytorch.Twin

            def made(*given, fresh=fresh, twins=twins, seen=seen):
                twin = fresh(*given)
                twin.hook = lambda _, spikes: (seen.add(spikes.dtype), spikes)[1]
                twins.append(twin)
                return twin

            monkeypatch.setattr(pytorch, "Twin", made)
            pytorch.call(contestants.neuron("spikingjelly"), work, form, tiny("vgg", 2))()
            monkeypatch.setattr(pytorch, "Twin", fresh)
            assert seen == {dtype}, (form, work)
            assert {parameter.dtype for parameter in twins[0].parameters()} == {torch.float32}
    with pytest.raises(ValueError, match=r"form: expected one of eager, .*, got 'fast'"):
        pytorch.call(contestants.neuron("spikingjelly"), "train", "fast", tiny("vgg", 2))


@pytest.mark.slow
@pytest.mark.parametrize("peer", contestants.PEERS)
def test_peers_agree_compiled_in_parts(peer):
    pytest.importorskip(peer, reason="only make bench installs the peers")
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("torch.compile needs a C++ compiler")
    from benchmarks import agreement

    measured = agreement.check(peer, tiny("vgg", 2), "parts")
    assert measured.spikes == 0
    assert measured.gradients < 1e-4
    assert measured.free < 1e-5


@pytest.mark.parametrize(
    ("change", "form", "message"),
    [
        ("detached", "eager", "weight gradient differs"),
        ("threshold", "eager", "lif1: .* of the spikes differ"),
        ("classifier", "eager", "logits differ"),
        ("threshold", "autocast eager", "lif1: .* of the spikes differ"),
        ("classifier", "autocast eager", "logits differ"),
    ],
)
def test_a_disagreement_is_found_and_names_its_layer(monkeypatch, change, form, message):
    pytest.importorskip("spikingjelly", reason="only make bench installs the peers")
    from benchmarks import agreement
    from benchmarks.contestants import spikingjelly

    case = tiny("vgg", 4)

    class Faulty(spikingjelly.Neuron):
        def __init__(self, node):
            super().__init__(node)
            self.lif.detach_reset = change == "detached"
            self.lif.v_threshold *= 1.1 if change == "threshold" else 1

    def unequal(contestant):
        return Faulty

    monkeypatch.setattr(agreement, "neuron", unequal)
    if change == "classifier":
        fresh = agreement.Twin
        monkeypatch.setattr(agreement, "Twin", lambda *given: _scaled(fresh(*given)))
    with pytest.raises(agreement.Disagreement, match=message) as caught:
        agreement.check("spikingjelly", case, form)
    assert f"spikingjelly, {form}, vgg, T=4, training" in str(caught.value)


def _scaled(twin):
    import torch

    with torch.no_grad():
        twin.parts["linear"].weight.mul_(1.03)
    return twin
