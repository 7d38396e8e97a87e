"""A network as JSON: round trip, digest, and text from elsewhere."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from qpsnn_core.common.errors import ConfigError, FormatError, NetworkError, VersionError
from qpsnn_core.network import LIF, AvgPool, Conv, Input, Linear, MaxPool, Network, Quantizer, Readout, Shortcut, Sum
from qpsnn_core.network.zoo.vgg import resnet20, vgg_small

EVERY_KIND = Network(
    (
        Input("input", (8, 8, 2), peak=7, scale=0.5, spikes=True),
        Conv("conv1", "input", 4, kernel=5, stride=2, padding=2, quantizer=Quantizer(3, "percentile", percentile=0.9)),
        LIF("lif1", ("conv1",), 0.5, 0.25, "arctan", 2.0, True),
        Conv("conv2", "lif1", 4, quantizer=None, bias=True, batch_norm=False, gain=0.0),
        Shortcut("short", "lif1", 4, 1, (3, 2, -1, 0)),
        LIF("lif2", ("conv2", "short")),
        Sum("sum", ("lif1", "lif2")),
        MaxPool("max", "sum", 2, 1, 1),
        AvgPool("average", "max", 2),
        Linear("linear", "average", 3, quantizer=Quantizer(8, "max", "layer", "pass"), bias=False, batch_norm=True),
        Readout("readout", "linear"),
    ),
    steps=7,
)


@pytest.mark.parametrize("net", [EVERY_KIND, vgg_small(), resnet20()])
def test_json_round_trip(net):
    again = Network.from_json(net.to_json())
    assert again == net
    assert hash(again) == hash(net)
    assert again.to_json() == net.to_json()
    assert again.digest() == net.digest()
    assert again.values == net.values


def test_a_reset_to_zero_is_not_written_and_one_by_subtraction_is():
    """What was written before there was a choice loads, and keeps its text and its digest."""
    assert "reset" not in EVERY_KIND.to_json().replace("detach_reset", "")
    assert EVERY_KIND.digest() == "f98dcc7a258a38ba96b4429163fbf529f5ef3cd3651c9d137c8916a21c98bdbf"
    changed = EVERY_KIND.change("lif1", reset="subtract")
    assert changed.to_json().count('"reset":"subtract"') == 1
    assert Network.from_json(changed.to_json()) == changed
    assert changed.digest() != EVERY_KIND.digest()


def test_json_does_not_depend_on_its_writing():
    pretty = json.dumps(json.loads(EVERY_KIND.to_json()), indent=2)
    assert Network.from_json(pretty).digest() == EVERY_KIND.digest()


def test_every_hyper_parameter_is_in_the_digest():
    seen = {EVERY_KIND.digest(), dataclasses.replace(EVERY_KIND, steps=8).digest()}
    for changes in ({"name": "lif1", "threshold": 0.75}, {"name": "conv2", "bias": False}, {"name": "max", "size": 3}):
        name = changes.pop("name")
        seen.add(EVERY_KIND.change(name, **changes).digest())
    assert len(seen) == 5


def test_the_digest_is_the_same_in_another_process():
    code = "import sys; from qpsnn_core.network import Network; print(Network.from_json(sys.stdin.read()).digest())"
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], input=EVERY_KIND.to_json(), env=environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == EVERY_KIND.digest(), done.stderr


def edited(change):
    data = json.loads(EVERY_KIND.to_json())
    change(data)
    return json.dumps(data)


WRONG_JSON = [
    ("{", FormatError, "network: not JSON"),
    ("[]", FormatError, "network.format: expected 'qpsnn-network'"),
    (edited(lambda d: d.update(format="other")), FormatError, "network.format: expected 'qpsnn-network'"),
    (edited(lambda d: d.update(version=2)), VersionError, "network.version: expected 1, got 2"),
    (edited(lambda d: d.pop("steps")), FormatError, "network.steps: expected to be there"),
    (edited(lambda d: d.update(steps="7")), ConfigError, "network.steps: expected an integer, got '7'"),
    (edited(lambda d: d.update(nodes={})), ConfigError, "network.nodes: expected a list, got {}"),
    (edited(lambda d: d["nodes"].append(3)), ConfigError, "network.nodes[11]: expected a table of keys, got 3"),
    (edited(lambda d: d["nodes"][1].update(kind="Konv")), ConfigError, "network.nodes[1]: expected the key 'kind'"),
    (edited(lambda d: d["nodes"][1].pop("kind")), ConfigError, "network.nodes[1]: expected the key 'kind'"),
    (edited(lambda d: d["nodes"][1].pop("name")), ConfigError, "network.nodes[1].name: expected a value, got nothing"),
    (edited(lambda d: d["nodes"][1].update(kernal=3)), ConfigError, "network.nodes[1]: unknown key 'kernal' (did you"),
    (edited(lambda d: d["nodes"][1].update(kernel="3")), ConfigError, "network.nodes[1].kernel: expected an integer"),
    (edited(lambda d: d["nodes"][1].update(kernel=-3)), ConfigError, "conv1.kernel: expected an integer of at least 1"),
    (edited(lambda d: d["nodes"][1]["quantizer"].update(bits=9)), ConfigError, "network.nodes[1].quantizer.bits: "),
    (edited(lambda d: d["nodes"][2].update(sources="conv1")), ConfigError, "network.nodes[2].sources: expected a list"),
    (edited(lambda d: d["nodes"][0].update(shape=[8, 8])), ConfigError, "network.nodes[0].shape: expected 3 entries"),
    (edited(lambda d: d["nodes"][0].update(shape=[8, 8, "2"])), ConfigError, "network.nodes[0].shape[2]: expected an"),
    (edited(lambda d: d["nodes"][2].update(reset="soft")), ConfigError, "lif1.reset: expected one of zero, subtract, "),
    (edited(lambda d: d["nodes"].pop(3)), NetworkError, "lif2.source: expected the name of a node"),
]


@pytest.mark.parametrize(("text", "error", "message"), WRONG_JSON, ids=[message for _, _, message in WRONG_JSON])
def test_json_from_elsewhere(text, error, message):
    with pytest.raises(error) as caught:
        Network.from_json(text)
    assert str(caught.value).startswith(message)
