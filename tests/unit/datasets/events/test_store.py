"""A store of recordings: what is written is read, whole or in windows; what is damaged is refused."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, LabelError, VersionError
from qpsnn_datasets.events import Recording, event_writer, load_events, writer

BLOCK = writer.BLOCK


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.h5"


def filled(path, recordings, classes=("a", "b"), splits=("train", "test", "valid", "none"), notes=None):
    with event_writer(path, classes, notes) as store:
        for index, recording in enumerate(recordings):
            store.add(recording, splits[index % len(splits)])
    return path


def some(counts=(3, 0, 40, 1, 0)):
    rng = np.random.default_rng(1)
    return [
        files.random_recording(rng, count, label=k % 3 - 1, name=f"é{k}", start=1000 * k - 500)
        for k, count in enumerate(counts)
    ]


@pytest.mark.parametrize("counts", [(), (0,), (3, 0, 40, 1, 0), (BLOCK, BLOCK), (1, BLOCK - 1, 2 * BLOCK + 1, 5)])
def test_what_was_written_is_read(path, counts):
    recordings = some(counts)
    with load_events(filled(path, recordings, notes={"from": "here"})) as store:
        assert len(store) == len(recordings)
        for one, other in zip(store, recordings, strict=True):
            files.same(one, other)
        assert store.classes == ("a", "b")
        assert store.notes == {"from": "here"}
        assert store.labels.tolist() == [r.label for r in recordings]
        assert store.counts.tolist() == list(counts)
        assert store.on.tolist() == [int(r.p.sum()) for r in recordings]
        edges = [(int(r.t[0]), int(r.t[-1])) if len(r) else (0, 0) for r in recordings]
        assert list(zip(store.first.tolist(), store.last.tolist(), strict=True)) == edges
    assert os.listdir(path.parent) == [path.name]


def test_splits_sensors_and_names(path):
    rng = np.random.default_rng(0)
    recordings = [files.random_recording(rng, 5, (4, 6)), files.random_recording(rng, 5, (8, 3), name="two")]
    store = load_events(filled(path, recordings))
    assert store.splits.tolist() == ["train", "test"]
    assert [store.indices(split).tolist() for split in ("train", "valid", "test")] == [[0], [], [1]]
    assert store.name(1) == store[-1].name == "two"
    assert list(zip(store.heights.tolist(), store.widths.tolist(), strict=True)) == [(4, 6), (8, 3)]
    with pytest.raises(DataError, match=r"sensor: expected one size of all recordings, got 2 sizes"):
        _ = store.sensor
    assert load_events(filled(path, recordings[:1])).sensor == (4, 6)
    with pytest.raises(ConfigError, match="split: expected one of none, train, valid, test"):
        store.indices("training")
    for index in (2, -3):
        with pytest.raises(IndexError, match=r"expected a recording, -2 to 1"):
            store[index]


def test_a_part_is_a_sequence(path):
    recordings = some()
    store = load_events(filled(path, recordings, splits=("train", "test")))
    part = store.part("train")
    assert (len(part), part.labels.tolist(), part.classes) == (3, [-1, 1, 0], ("a", "b"))
    assert part.labels.tolist() == [recording.label for recording in part]
    for one, other in zip(part, recordings[::2], strict=True):
        files.same(one, other)
    files.same(part[-1], recordings[4])
    files.same(part[1:][0], recordings[2])
    with pytest.raises(IndexError):
        part[3]
    with pytest.raises(ConfigError, match="split: expected one of"):
        store.part("rest")


def test_a_window_is_what_a_mask_selects(path, monkeypatch):
    """Blocks of 16 events; several events of one time at their edges; recordings that begin and end anywhere."""
    monkeypatch.setattr(writer, "BLOCK", 16)
    rng = np.random.default_rng(5)
    recordings = []
    for k, count in enumerate((7, 0, 16, 33, 1, 100, 15)):
        t = np.sort(rng.integers(0, count // 2 + 1, count)) + 100 * k
        one = files.random_recording(rng, count)
        recordings.append(Recording(one.x, one.y, t, one.p, one.sensor))
    store = load_events(filled(path, recordings))
    assert store._columns["x"].chunks == (16,)
    for index, recording in enumerate(recordings):
        low, high = (int(recording.t[0]), int(recording.t[-1])) if len(recording) else (0, 5)
        for start in range(low - 2, high + 3, 3):
            for stop in range(start, high + 4, 2):
                found = store.window(index, start, stop)
                inside = (recording.t >= start) & (recording.t < stop)
                for name in ("x", "y", "t", "p"):
                    np.testing.assert_array_equal(getattr(found, name), getattr(recording, name)[inside])
    with pytest.raises(DataError, match=r"recording: window: expected a stop of at least 5, got 4"):
        store.window(0, 5, 4)


def test_a_window_reads_only_its_chunks(path, monkeypatch):
    monkeypatch.setattr(writer, "BLOCK", 64)
    recording = files.random_recording(np.random.default_rng(0), 64 * 50)
    store = load_events(filled(path, [recording]))
    read = []
    whole = store._read
    monkeypatch.setattr(store, "_read", lambda index, begin, end: read.append(end - begin) or whole(index, begin, end))
    middle = int(recording.t[1600])
    assert len(store.window(0, middle, middle + 1)) >= 1
    assert read[0] <= 3 * 64


@pytest.mark.parametrize("times", [[-(2**63), 2**63 - 1], [0, 2**40, 2**40], [-5, -5, 2**33]])
def test_times_of_any_size(path, times):
    none = np.zeros(len(times), np.int64)
    recording = Recording(none, none, np.array(times), none.astype(bool), (1, 1))
    files.same(load_events(filled(path, [recording]))[0], recording)


def test_a_store_can_be_pickled_and_closed(path):
    recordings = some()
    store = load_events(filled(path, recordings))
    again = pickle.loads(pickle.dumps(store))
    files.same(again[2], recordings[2])
    store.close()
    files.same(again[0], recordings[0])
    with pytest.raises(FileError, match="the store was closed"):
        store[2]


def test_what_cannot_be_added(path):
    (recording,) = some((3,))
    bad = Recording(recording.x, recording.y, recording.t, recording.p, recording.sensor, 2, "bad")
    with event_writer(path, ("a", "b")) as store:
        with pytest.raises(LabelError, match=r"bad\.label: expected -1 to 1, one of the classes, got 2"):
            store.add(bad)
        with pytest.raises(ConfigError, match=r"split: expected one of none, train, valid, test, got 'tests'"):
            store.add(recording, "tests")
        store.add(recording)
        assert len(store) == 1
    files.same(load_events(path)[0], recording)
    for classes in (("a", "a"), "ab", (1,)):
        with pytest.raises(DataError, match="classes: expected a tuple of distinct strings"):
            filled(path, [], classes)


def interrupted(path, error):
    with event_writer(path, ()) as store:
        store.add(files.random_recording(np.random.default_rng(0), 2 * BLOCK))
        raise error


def test_an_error_while_writing_leaves_the_old_store(path):
    recordings = some()
    filled(path, recordings)
    for error in (KeyboardInterrupt, ValueError):
        with pytest.raises(error):
            interrupted(path, error)
        assert os.listdir(path.parent) == [path.name]
        files.same(load_events(path)[2], recordings[2])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_store_is_refused(path, share):
    filled(path, some())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FormatError, match="not a whole"):
        load_events(path)


def test_an_altered_store_is_never_read_as_something_else(path):
    """Every 31st byte changed, one at a time: an error, or exactly what was written."""
    recordings = some()
    whole = filled(path, recordings).read_bytes()
    refused = 0
    for at in range(0, len(whole), 31):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            with load_events(path) as store:
                for one, other in zip(store, recordings, strict=True):
                    files.same(one, other)
                assert store.classes == ("a", "b")
        except FileError:
            refused += 1
    assert refused > len(whole) / 31 / 2


def alter(path, change):
    with h5py.File(path, "a") as file:
        change(file)


def without(name):
    return lambda file: file.__delitem__(name)


def other(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


def shorter(file):
    file["events/x"].resize(3, axis=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("recordings/label"), "not a whole qpsnn-events file"),
        (without("events/p"), "not a whole qpsnn-events file"),
        (other("recordings/label", np.zeros(5, "<i8")), "altered: its table does not have its checksum"),
        (other("recordings/label", np.zeros(5, "<i4")), r"recordings/label: expected <i8 \[N\]"),
        (other("events/x", np.zeros((44, 1), "<u2")), r"events/x: expected <u2 \[N\]"),
        (shorter, r"events: expected 44 in each column, got .*'x': 3"),
        (lambda file: file.attrs.__delitem__("block"), "not a whole qpsnn-events file"),
        (lambda file: file.attrs.__setitem__("block", 0), "events/anchor: expected one for each 0 of 44 events, got 1"),
        (lambda file: file.attrs.__setitem__("block", 22), "events/anchor: expected one for each 22 of 44 events"),
    ],
)
def test_what_a_damaged_store_lacks_is_named(path, change, message):
    alter(filled(path, some()), change)
    with pytest.raises(FormatError, match=message):
        load_events(path)


def test_a_newer_store_and_other_files(path):
    alter(filled(path, some()), lambda file: file.attrs.__setitem__("version", 2))
    with pytest.raises(VersionError, match="version: expected 1, got 2"):
        load_events(path)
    alter(path, lambda file: file.attrs.__setitem__("format", np.bytes_("qpsnn-integer")))
    with pytest.raises(FormatError, match="expected a store of recordings, got an integer network"):
        load_events(path)
    with pytest.raises(FileError, match="no such file"):
        load_events(path.parent / "none.h5")


def test_the_documented_datasets_are_all_that_there_are(path, root):
    """docs/event-format.md names each dataset and attribute with its type, and no other."""
    text = (root / "docs" / "event-format.md").read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(): line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| `")
    }
    found = {}
    with h5py.File(filled(path, some()), "r") as file:
        file.visititems(
            lambda name, node: found.update({f"`{name}`": node.dtype.str}) if hasattr(node, "dtype") else None
        )
        found |= {f"`@{name}`": None for name in file.attrs}
    assert set(rows) == set(found)
    for name, dtype in found.items():
        assert dtype is None or dtype.lstrip("|") in rows[name], name


CHILD = """
import resource, sys
import numpy as np
from qpsnn_datasets.events import Recording, event_writer, load_events

MIB, LIMIT = 1 << 20, int(sys.argv[2])
rng = np.random.default_rng(0)
one = Recording(rng.integers(0, 1280, 50_000), rng.integers(0, 720, 50_000), np.cumsum(rng.integers(0, 200, 50_000)),
                rng.integers(0, 2, 50_000) > 0, (720, 1280))

def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def grown(work):
    before = used()
    work()
    return used() - before

def write(rounds, path=sys.argv[1]):
    with event_writer(path, ()) as store:
        for _ in range(rounds):
            store.add(one)

def read():
    for recording in load_events(sys.argv[1]):
        assert len(recording) == 50_000

write(40)
read()
print(grown(lambda: write(LIMIT * MIB * 3 // 50_000)), grown(read))
"""


@pytest.mark.once
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory as Linux gives it")
@pytest.mark.slow
def test_memory_stays_flat_while_a_store_grows_far_beyond_it(path):
    """The file alone is more than ten times as large as what the process may grow by."""
    limit = 6
    words = [sys.executable, "-c", CHILD, str(path), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    written, read = map(int, done.stdout.split())
    assert path.stat().st_size > 10 * limit << 20
    assert written < limit << 20
    assert read < limit << 20


INTERRUPTED = """
import sys
import numpy as np
from qpsnn_datasets.events import Recording, event_writer
none = np.zeros(20_000, np.int64)
with event_writer(sys.argv[1], ()) as store:
    while sys.stdin.readline():
        store.add(Recording(none, none, none, none > 0, (1, 1)))
        print("more", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupted_import_leaves_nothing(path):
    """The interrupt comes while it waits: Python drops one that comes while a weak reference is cleared."""
    words = [sys.executable, "-c", INTERRUPTED, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as child:
        for _ in range(3):
            child.stdin.write("\n")
            assert child.stdout.readline() == "more\n"
        assert [name for name in os.listdir(path.parent) if name.startswith(".store.h5.")]
        child.send_signal(signal.SIGINT)
        child.wait(60)
    assert child.returncode != 0
    assert os.listdir(path.parent) == []


def test_the_notes_are_json(path):
    notes = {"repairs": {"sort": [1, 2]}}
    assert json.loads(json.dumps(load_events(filled(path, some(), notes=notes)).notes)) == notes
