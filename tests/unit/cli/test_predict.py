"""A recording in each format goes in at one end, and a prediction comes out of Lava at the other."""

from __future__ import annotations

import json
from itertools import pairwise

import h5py
import numpy as np
import pytest

pytest.importorskip("typer")

from generators import event_files as files

import qpsnn_core as qp
from qpsnn_datasets.events import event_writer, frames_in_bins, load_events, read_events, resize

pytestmark = pytest.mark.cli
SENSOR = (12, 10)
RNG = np.random.default_rng(3)
EVENTS = files.random_events(RNG, 60, SENSOR)


def hdf5(path, group, columns, **attributes):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[f"{group}{name}"] = values
        file.attrs.update(attributes)


def dsec(path):
    x, y, t, p = np.array(EVENTS).T
    hdf5(path, "", {"events/x": x, "events/y": y, "events/t": t, "events/p": p, "t_offset": 0, "ms_to_idx": [0]})


def prophesee(path):
    rows = np.array([(x, y, p, t) for x, y, t, p in EVENTS], [("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")])
    hdf5(path, "", {"CD/events": rows}, geometry="1280x720")


def array(path):
    np.save(path, np.array(EVENTS, np.int64).view([(name, "<i8") for name in "xytp"]).reshape(-1))


def content(data):
    return lambda path: path.write_bytes(data)


FORMATS = {
    "n-mnist": ("one.bin", content(files.atis_bin(EVENTS))),
    "n-caltech101": ("image_0001.bin", content(files.atis_bin(EVENTS))),
    "cifar10-dvs": ("cifar10_dog_0.aedat", content(files.aedat2(EVENTS, files.cifar10dvs_address))),
    "aedat2-dvs128": ("one.aedat", content(files.aedat2(EVENTS, files.dvs128_address))),
    "aedat2-davis346": ("one.aedat", content(files.aedat2(EVENTS, files.davis346_address))),
    "aedat3": ("one.aedat", content(files.HEADER_3 + files.packet_3(EVENTS))),
    "dat": ("one.dat", content(files.dat(EVENTS))),
    "evt": ("one.raw", content(files.evt3(files.evt3_words(EVENTS)))),
    "dsec": ("events.h5", dsec),
    "prophesee-h5": ("one.h5", prophesee),
    "numpy": ("one.npy", array),
}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Of random weights, whose neurons fire."""
    net = qp.build("vgg_small", (*SENSOR, 2), 4, width=0.125, steps=3, events=True)
    model = qp.initialise(net, 1)
    frames = RNG.integers(0, 3, (3, 16, *SENSOR, 2)).astype(np.uint8)
    data = qp_dataset(frames)
    path = tmp_path_factory.mktemp("predict") / "network.h5"
    qp.save_integer(path, qp.lower(qp.recalibrate(model, data)).network)
    return path


def qp_dataset(frames):
    from qpsnn_datasets import Dataset

    return Dataset(np.ascontiguousarray(frames.swapaxes(0, 1)), np.arange(16) % 4, tuple("abcd"), "frames")


def written(folder, name):
    file, write = FORMATS[name]
    write(folder / file)
    return folder / file


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_predicted_as_its_frames_are(qpsnn, network, tmp_path, name):
    path = written(tmp_path, name)
    size = ("--sensor", f"{SENSOR[1]}x{SENSOR[0]}") if name == "numpy" else ()
    code, out, err = qpsnn("predict", network, path, "--format", name, *size, "--json")
    assert code == 0, err
    (found,) = json.loads(out)["recordings"]
    assert (found["file"], found["recording"], found["label"]) == (str(path), path.name, None)
    one = read_events(path, format=name, sensor=SENSOR if name == "numpy" else None)
    assert found["events"] == len(one) == 60
    frames = frames_in_bins(resize(one, *SENSOR), 3)[:, None]
    run = qp.simulate(qp.load_integer(network), frames, record="spikes")
    assert found["answer"] == run.readout.argmax(1)[0]
    assert sum(int(fired.sum()) for fired in run.spikes.values()) > 0


@pytest.mark.lava
@pytest.mark.events
@pytest.mark.slow
def test_every_format_goes_to_lava_spike_for_spike(qpsnn, network, tmp_path):
    known = ["dat", "evt", "dsec", "prophesee-h5"]
    together = [written(tmp_path, name) for name in known]
    together.append(files.aedat4(tmp_path / "one.aedat4", [EVENTS], None))
    for name in ["", *(name for name in FORMATS if name not in known)]:
        words = [written(tmp_path, name), "--format", name] if name else together
        words += ["--sensor", f"{SENSOR[1]}x{SENSOR[0]}"] if name == "numpy" else []
        code, out, err = qpsnn("predict", network, *words, "--backend", "lava", "--json")
        assert code == 0, err
        found = json.loads(out)
        assert (found["backend"], found["spike_mismatches"], found["readout_mismatches"]) == ("lava", 0, 0)
        assert all(one["events"] == 60 for one in found["recordings"])


def recordings(count, classes=4):
    """Some of the network's sensor and some of another, each of a class."""
    sizes = [SENSOR, (20, 30)]
    return [files.random_recording(RNG, 80, sizes[k % 2], k % classes, f"r{k}") for k in range(count)]


def store_of(path, found, classes="abcd"):
    with event_writer(path, tuple(classes)) as writer:
        for one in found:
            writer.add(one)
    return path


def answers_of(network, found, by="time"):
    loaded = qp.load_integer(network)
    images = np.stack([np.minimum(frames_in_bins(resize(one, *SENSOR), 3, by=by), 255) for one in found], axis=1)
    return qp.simulate(loaded, images).readout.argmax(1).tolist()


@pytest.mark.parametrize("by", ["time", "count"])
def test_a_store_is_predicted_recording_by_recording(qpsnn, network, tmp_path, monkeypatch, by):
    monkeypatch.setattr("qpsnn_core.cli.predict.BATCH", 3)
    found = recordings(7)
    path, rest = store_of(tmp_path / "store.h5", found), store_of(tmp_path / "rest.h5", found[:2])
    code, out, err = qpsnn("predict", network, path, rest, "--frames", by, "--json")
    assert code == 0, err
    figures = json.loads(out)
    rows = figures["recordings"]
    assert [row["recording"] for row in rows] == [one.name for one in found + found[:2]]
    assert [row["file"] for row in rows] == [str(path)] * 7 + [str(rest)] * 2
    assert [row["answer"] for row in rows] == answers_of(network, found + found[:2], by)
    assert [row["label"] for row in rows] == [one.label for one in found + found[:2]]
    assert figures["accuracy"] == np.mean([row["answer"] == row["label"] for row in rows])
    code, out, err = qpsnn("predict", network, path)
    assert code == 0, err
    assert "0 spikes and 0 readouts differ" in out
    assert "of those with a label" in out


def test_labels_of_other_classes_do_not_count(qpsnn, network, tmp_path):
    path = store_of(tmp_path / "store.h5", recordings(3, classes=3), "abc")
    code, out, err = qpsnn("predict", network, path, "--json")
    assert code == 0, err
    assert json.loads(out)["accuracy"] is None
    assert all(row["label"] is None for row in json.loads(out)["recordings"])


SIZES = {
    "gen31": ("one.raw", files.evt2(EVENTS, b"% evt 2.0\n% plugin_name hal_plugin_gen31_fx3\n"), "640x480"),
    "gen41": ("one.raw", files.evt3(files.evt3_words(EVENTS), b"% evt 3.0\n% sensor_generation 4.1\n"), "1280x720"),
    "imx636": ("one.raw", files.evt2(EVENTS, b"% evt 2.0\n% sensor_name IMX636\n"), "1280x720"),
    "dat": ("one.dat", files.dat(EVENTS, b"% Version 2\n% integrator_name GenX320 board\n"), "320x320"),
    "nobody": ("one.dat", files.dat(EVENTS, b"% Version 2\n"), ""),
}


@pytest.mark.parametrize("name", SIZES)
def test_three_commands_take_files_without_geometry_in_the_same_way(qpsnn, network, tmp_path, name):
    """The size of the sensor that a header names is suggested, and not taken without a word."""
    file, data, size = SIZES[name]
    path = tmp_path / file
    path.write_bytes(data)
    commands = (
        ("events", "import", path, "-o", tmp_path / "store.h5"),
        ("predict", network, path),
        ("stream", network, "--data", path, "--window-us", 300),
    )
    for words in commands:
        code, _, err = qpsnn(*words)
        assert code == 2
        assert "expected the sensor's size in the header, or given: --sensor WIDTHxHEIGHT" in err
        assert (f"usually {size} for " in err) == bool(size)
        code, out, err = qpsnn(*words, "--sensor", size or "64x48", "--json")
        assert code == 0, err
        assert json.loads(out)
    assert load_events(tmp_path / "store.h5").sensor == tuple(map(int, (size or "64x48").split("x")[::-1]))


@pytest.mark.parametrize("words", [("predict", "{network}", "{path}"), ("stream", "{network}", "--data", "{path}")])
def test_a_store_takes_no_options_of_other_formats(qpsnn, network, tmp_path, words):
    path = store_of(tmp_path / "store.h5", recordings(1))
    given = [word.format(network=network, path=path) for word in words]
    code, _, err = qpsnn(*given, "--sensor", "10x12", "--repair", "sort")
    assert code == 2
    assert "no options of other formats with a store" in err
    assert err.endswith("got --sensor, --repair\n")
    code, _, err = qpsnn(*[str(network) if word == str(path) else word for word in given])
    assert code == 2
    assert "expected recordings or images, got an integer network (`qpsnn events import" in err


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_reads_every_format_scaled_to_the_network(qpsnn, network, tmp_path, name):
    path = written(tmp_path, name)
    size = ("--sensor", f"{SENSOR[1]}x{SENSOR[0]}") if name == "numpy" else ()
    code, out, err = qpsnn("stream", network, "--data", path, "--format", name, *size, "--window-us", 10_000, "--json")
    assert code == 0, err
    (window,) = json.loads(out)["windows"]
    assert (window["events"], window["begin_us"]) == (60, EVENTS[0][2])
    one = read_events(path, format=name, sensor=SENSOR if name == "numpy" else None)
    span = (EVENTS[0][2], EVENTS[0][2] + 10_000)
    frames = np.minimum(frames_in_bins(resize(one, *SENSOR), 3, span=span), 255)[:, None]
    assert window["answer"] == qp.simulate(qp.load_integer(network), frames).readout.argmax(1)[0]


def test_a_folder_is_predicted_and_streamed_with_its_classes(qpsnn, network, tmp_path):
    for label in "abcd":
        (tmp_path / "set" / label).mkdir(parents=True)
        (tmp_path / "set" / label / "one.dat").write_bytes(files.dat(EVENTS))
    code, out, err = qpsnn("predict", network, tmp_path / "set", "--json")
    assert code == 0, err
    rows = json.loads(out)["recordings"]
    assert [(row["recording"], row["label"]) for row in rows] == [(f"{c}/one.dat", k) for k, c in enumerate("abcd")]
    code, out, err = qpsnn("stream", network, "--data", tmp_path / "set", "--window-us", 10_000, "--json")
    assert code == 0, err
    assert [row["label"] for row in json.loads(out)["windows"]] == [0, 1, 2, 3]


def test_what_cannot_be_predicted_is_said(qpsnn, network, tmp_path):
    images = qp.build("vgg_small", (8, 8, 1), 4, width=0.125, steps=2)
    qp.save_integer(tmp_path / "images.h5", qp.lower(qp.initialise(images, 0)).network)
    path = written(tmp_path, "n-mnist")
    code, _, err = qpsnn("predict", tmp_path / "images.h5", path)
    assert code == 2
    assert "input: expected frames of events, [H, W, 2], counts from 0, got [8, 8, 1], integers 0..255" in err
    path.write_bytes(path.read_bytes() + b"x")
    code, _, err = qpsnn("predict", network, path, "--format", "n-mnist")
    assert code == 2
    assert "(repair 'truncate' mends it)" in err
    assert qpsnn("predict", network, path, "--format", "n-mnist", "--repair", "truncate")[0] == 0


@pytest.mark.exchange
@pytest.mark.parametrize(("words", "peak"), [((), 255), (("--peak", 15), 15)])
def test_a_network_of_another_simulator_takes_counts_of_events(qpsnn, tmp_path, words, peak):
    """Without --peak, all that frames can hold; the command says which. Two events at a pixel are more than one."""
    import nir

    weight = np.linspace(-0.2, 0.3, 3 * 18, dtype=np.float32).reshape(3, 18)
    neuron = nir.LIF(tau=np.full(3, 2e-4), r=np.ones(3), v_leak=np.zeros(3), v_threshold=np.ones(3))
    nodes = {
        "input": nir.Input({"input": np.array([2, 3, 3])}),
        "flat": nir.Flatten({"input": np.array([2, 3, 3])}, 0, -1),
        "linear": nir.Linear(weight),
        "lif": neuron,
        "out": nir.Linear(np.eye(3, dtype=np.float32)),
        "output": nir.Output({"output": np.array([3])}),
    }
    names = list(nodes)
    nir.write(tmp_path / "a.nir", nir.NIRGraph(nodes, list(pairwise(names))))
    command = ("import", tmp_path / "a.nir", "--dt", 1e-4, "--steps", 2, "--events", *words, "-o", tmp_path / "a.h5")
    code, out, err = qpsnn(*command)
    assert code == 0, err
    said = f"the input is counts of events, 0..{peak}; --peak sets another largest count"
    assert (said in out) == (not words)
    assert json.loads(qpsnn(*command, "--json")[1])["peak"] == peak
    model = qp.load_checkpoint(tmp_path / "a.h5").model
    assert (model.network.input.peak, model.network.input.scale, model.network.input.spikes) == (peak, 1.0, True)
    several, one = np.zeros((2, 1, 3, 3, 2), np.uint8), np.zeros((2, 1, 3, 3, 2), np.uint8)
    several[:, 0, 2, 2, 1], one[:, 0, 2, 2, 1] = 15, 1
    assert qp.forward(model, several).logits.sum() > qp.forward(model, one).logits.sum() == 0
