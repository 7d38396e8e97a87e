"""A recording in each format goes in at one end, and a prediction comes out of Lava at the other."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

pytest.importorskip("typer")

from generators import event_files as files

import qpsnn_core as qp
from qpsnn_datasets.events import frames_in_bins, read_events, resize

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
    code, out, err = qpsnn("predict", network, path, "--format", name, "--json")
    assert code == 0, err
    (found,) = json.loads(out)["recordings"]
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
    known = ["dat", "evt", "dsec", "prophesee-h5", "numpy"]
    together = [written(tmp_path, name) for name in known]
    together.append(files.aedat4(tmp_path / "one.aedat4", [EVENTS], None))
    for name in ["", *(name for name in FORMATS if name not in known)]:
        words = [written(tmp_path, name), "--format", name] if name else together
        code, out, err = qpsnn("predict", network, *words, "--backend", "lava", "--json")
        assert code == 0, err
        found = json.loads(out)
        assert (found["backend"], found["spike_mismatches"], found["readout_mismatches"]) == ("lava", 0, 0)
        assert all(one["events"] == 60 for one in found["recordings"])


def test_what_cannot_be_predicted_is_said(qpsnn, network, tmp_path):
    images = qp.build("vgg_small", (8, 8, 1), 4, width=0.125, steps=2)
    qp.save_integer(tmp_path / "images.h5", qp.lower(qp.initialise(images, 0)).network)
    path = written(tmp_path, "n-mnist")
    code, _, err = qpsnn("predict", tmp_path / "images.h5", path)
    assert code == 2
    assert "input: expected frames of events, [H, W, 2], got [8, 8, 1]" in err
    path.write_bytes(path.read_bytes() + b"x")
    code, _, err = qpsnn("predict", network, path, "--format", "n-mnist")
    assert code == 2
    assert "(repair 'truncate' mends it)" in err
    assert qpsnn("predict", network, path, "--format", "n-mnist", "--repair", "truncate")[0] == 0
