"""From folders, archives and files, in the layouts of known sets, to a store: classes, splits, repairs, guesses."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pytest
from generators import event_files as files

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, LabelError
from qpsnn_datasets.events import NAMES, Recordings, import_events, load_events, read_events


def events_of(seed, sensor=(34, 34), count=20):
    return files.random_events(np.random.default_rng(seed), count, sensor)


def written(folder, content):
    """Files of a folder, by their names."""
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "store.h5"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set"


def imported(path, out, **options):
    done = import_events(path, out, **options)
    store = load_events(out)
    assert (done.recordings, done.events) == (len(store), store.counts.sum())
    return done, store


N_MNIST = {
    f"{part}/{label}/0000{k}.bin": (part, label, k) for part in ("Train", "Test") for label in "709" for k in (1, 2)
}


@pytest.mark.parametrize("how", ["folder", "zip", "a zip with a folder in it"])
def test_n_mnist(folder, out, how):
    content = {name: files.atis_bin(events_of(k)) for k, name in enumerate(N_MNIST)}
    written(folder, content | {"Train/7/.DS_Store": b"x", "Train/7/._1.bin": b"x", "Readme.txt": b"x"})
    path = folder
    if how != "folder":
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for name in content:
                archive.writestr(("N-MNIST/" if "in it" in how else "") + name, content[name])
    done, store = imported(path, out)
    assert (done.format, done.splits, done.repairs) == ("n-mnist", {"train": 6, "test": 6}, {})
    assert store.classes == tuple("0123456789")
    assert store.sensor == (34, 34)
    assert store.notes == {"format": "n-mnist", "repairs": {}}
    for index, recording in enumerate(store):
        name = recording.name.removeprefix("N-MNIST/")
        part, label, _ = N_MNIST[name]
        assert (store.splits[index], recording.label) == (part.lower(), int(label))
        assert files.listed(recording) == events_of(list(content).index(name))


def test_n_mnist_as_it_was_published(shared_data, out):
    """The archive of real recordings, against a loop over the bytes of one of them."""
    path = shared_data / "nmnist_1k.zip"
    done, store = imported(path, out, limit=50)
    assert (done.format, done.splits) == ("n-mnist", {"train": 50, "test": 50})
    assert np.bincount(store.labels[store.indices("train")], minlength=10).min() >= 3
    assert store.on.sum() / store.counts.sum() == pytest.approx(0.5, abs=0.1)
    assert (store.last < 400_000).all()
    with zipfile.ZipFile(path) as archive:
        data = archive.read(store.name(3))
    ref = []
    for at in range(0, len(data), 5):
        x, y, high, middle, low = data[at : at + 5]
        ref.append((x, y, ((high & 127) << 16) + (middle << 8) + low, high >> 7))
    assert files.listed(store[3]) == ref


def test_n_caltech101(folder, out):
    content = {f"Caltech101/{name}/image_0001.bin": files.atis_bin(events_of(1)) for name in ("crab", "airplanes")}
    written(folder, content | {"Caltech101_annotations/crab/annotation_0001.bin": b"xxx"})
    done, store = imported(folder, out)
    assert (done.format, store.classes, store.sensor) == ("n-caltech101", ("airplanes", "crab"), (180, 240))
    assert store.labels.tolist() == [0, 1]
    assert done.splits == {"none": 2}


def test_cifar10_dvs(folder, out):
    address = files.cifar10dvs_address
    events = events_of(2, (128, 128))
    written(folder, {f"{name}/cifar10_{name}_0.aedat": files.aedat2(events, address) for name in ("ship", "cat")})
    done, store = imported(folder, out)
    assert (done.format, store.sensor, store.labels.tolist()) == ("cifar10-dvs", (128, 128), [3, 8])
    assert len(store.classes) == 10
    assert files.listed(store[0]) == events
    written(folder, {"lion/cifar10_lion_0.aedat": files.aedat2(events, address)})
    with pytest.raises(FormatError, match=r"folder: expected one of the classes airplane, .*, got 'lion'"):
        import_events(folder, out, format="cifar10-dvs")


def gesture(folder, rows="1,10,60\n11,50,90\n1,95,96\n", cut=0):
    """Two trials of 100 events, one at each microsecond; the set's lists and labels."""
    events = [(k, k // 2, k, k % 2) for k in range(100)]
    data = files.HEADER_3 + files.packet_3(events[:30]) + files.packet_3(events[30:])
    labels = "class,startTime_usec,endTime_usec\n" + rows
    return written(
        folder,
        {
            "trials_to_train.txt": b"user01_led.aedat\n\n",
            "trials_to_test.txt": b"user24_led.aedat\r\n",
            "user01_led.aedat": data[: len(data) - cut],
            "user24_led.aedat": data,
            "user01_led_labels.csv": labels.encode(),
            "user24_led_labels.csv": labels.replace("\n", "\r\n").encode(),
            "user99_led.aedat": b"of no list",
        },
    ), events


def test_dvs_gesture(folder, out):
    """Several samples of a file and of a class; two that overlap."""
    path, events = gesture(folder)
    done, store = imported(path, out)
    assert (done.format, done.splits, store.sensor) == ("dvs-gesture", {"train": 3, "test": 3}, (128, 128))
    assert store.labels.tolist() == [0, 10, 0] * 2
    assert (store.classes[0], store.classes[10]) == ("hand_clapping", "other_gestures")
    spans = [(10, 60), (50, 90), (95, 96)] * 2
    for recording, (start, stop) in zip(store, spans, strict=True):
        assert files.listed(recording) == events[start:stop]
    assert store.name(4) == "user24_led.aedat#1"


def test_a_cut_off_trial_is_the_fault_of_the_samples_at_its_end(folder, out):
    path, events = gesture(folder, "1,10,60\n2,70,100\n", cut=12)
    with pytest.raises(FormatError, match=r"user01_led\.aedat#1: end: expected a whole event"):
        import_events(path, out)
    done, store = imported(path, out, repair=("truncate",))
    assert done.repairs == {"truncate": (1, 4)}
    assert files.listed(store[1]) == events[70:98]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("12,1,2\n", LabelError, r"labels\.csv: line 2: class: expected 1 to 11, got 12"),
        ("1,5,5\n", FormatError, "line 2: expected an end after 5, got 5"),
        ("1,5,6\n1,5\n", FormatError, "line 3: expected three whole numbers, got '1,5'"),
        ("1,5,x\n", FormatError, "line 2: expected three whole numbers"),
        ("1,500,600\n", DataError, "expected at least one event"),
    ],
)
def test_gesture_labels_that_are_wrong(folder, out, rows, error, message):
    with pytest.raises(error, match=message):
        import_events(gesture(folder, rows)[0], out)
    assert list(out.parent.iterdir()) == []


def test_gesture_files_that_are_missing(folder, out):
    path, _ = gesture(folder)
    (path / "user24_led.aedat").unlink()
    with pytest.raises(FileError, match=r"expected one file user24_led\.aedat, got 0"):
        import_events(path, out)
    (path / "trials_to_test.txt").unlink()
    with pytest.raises(FileError, match=r"expected one file trials_to_test\.txt, got 0"):
        import_events(path, out, format="dvs-gesture")
    written(path, {"trials_to_test.txt": b"", "user01_led_labels.csv": b"class,start,end\n"})
    with pytest.raises(FormatError, match="first line: expected class,startTime_usec"):
        import_events(path, out)


def heidelberg(path, labels, keys=("null", "eins")):
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, dtype in (("times", "f2"), ("units", "u2")):
            data = file.create_dataset(f"spikes/{name}", (len(labels),), h5py.vlen_dtype(np.dtype(dtype)))
            for index in range(len(labels)):
                data[index] = np.arange(index + 1) / (8 if name == "times" else 1)
        file["labels"] = np.array(labels, np.uint16)
        file["extra/keys"] = np.array(keys, "S")


@pytest.mark.parametrize("kind", ["shd", "ssc"])
def test_shd_and_ssc(folder, out, kind):
    heidelberg(folder / f"{kind}_train.h5", [1, 0, 1])
    heidelberg(folder / f"{kind}_test.h5", [0])
    if kind == "ssc":
        heidelberg(folder / "ssc_valid.h5", [1])
    done, store = imported(folder, out)
    valid = {"valid": 1} if kind == "ssc" else {}
    assert (done.format, done.splits) == (kind, {"train": 3, "test": 1} | valid)
    assert (store.classes, store.sensor) == (("null", "eins"), (1, 700))
    assert store.labels[store.indices("train")].tolist() == [1, 0, 1]
    recording = store[int(store.indices("train")[2])]
    assert files.listed(recording) == [(0, 0, 0, 1), (1, 0, 125_000, 1), (2, 0, 250_000, 1)]
    assert imported(folder / f"{kind}_test.h5", out)[0].splits == {"test": 1}


def test_shd_whose_files_disagree(folder, out):
    heidelberg(folder / "shd_train.h5", [1, 0])
    heidelberg(folder / "shd_test.h5", [0], ("null", "zwei"))
    with pytest.raises(FormatError, match="extra/keys: expected the classes of the files before it"):
        import_events(folder, out)
    heidelberg(folder / "shd_test.h5", [2])
    with pytest.raises(LabelError, match=r"labels: expected 0 to 1, got 2 to 2"):
        import_events(folder, out)
    with pytest.raises(FileError, match=r"expected ssc_train\.h5"):
        import_events(folder, out, format="ssc")


def array_file(path):
    path.parent.mkdir(exist_ok=True, parents=True)
    np.save(path, np.array(events_of(1), [("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]))


ALONE = {
    "a.dat": ("dat", lambda path: path.write_bytes(files.dat(events_of(1))), {}),
    "a.raw": ("evt", lambda path: path.write_bytes(files.evt2(events_of(1))), {}),
    "b.raw": ("evt", lambda path: path.write_bytes(files.evt3(files.evt3_words(events_of(1)))), {}),
    "a.aedat": ("aedat3", lambda path: path.write_bytes(files.HEADER_3 + files.packet_3(events_of(1))), {}),
    "b.aedat": (
        "aedat2-dvs128",
        lambda path: path.write_bytes(
            files.aedat2(events_of(1), files.dvs128_address, files.HEADER_2 + b"# AEChip: ch.unizh.DVS128\r\n")
        ),
        {},
    ),
    "c.aedat": (
        "aedat2-davis346",
        lambda path: path.write_bytes(
            files.aedat2(events_of(1), files.davis346_address, files.HEADER_2 + b"# AEChip: eu.Davis346red\r\n")
        ),
        {},
    ),
    "a.npy": ("numpy", array_file, {"sensor": (34, 34)}),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_file_alone_says_what_it_is(folder, out, name):
    kind, write, options = ALONE[name]
    folder.mkdir()
    write(folder / name)
    done, store = imported(folder / name, out, **options)
    assert (done.format, done.splits) == (kind, {"none": 1})
    assert (store[0].label, store.name(0), store.classes) == (-1, name, ())
    assert files.listed(store[0]) == events_of(1)
    assert files.listed(read_events(folder / name, **options)) == events_of(1)


def test_class_and_split_folders_of_any_format(folder, out):
    for name in ("train/10/a.npy", "train/9/b.npy", "val/9/c.npy", "testing/10/d.npy", "test/e.npy"):
        array_file(folder / name)
    done, store = imported(folder, out, sensor=(40, 50))
    assert store.classes == ("9", "10")
    assert done.splits == {"train": 2, "valid": 1, "test": 2}
    got = {store.name(k): (int(store.labels[k]), str(store.splits[k])) for k in range(len(store))}
    assert got == {
        "train/10/a.npy": (1, "train"),
        "train/9/b.npy": (0, "train"),
        "val/9/c.npy": (0, "valid"),
        "testing/10/d.npy": (1, "test"),
        "test/e.npy": (-1, "test"),
    }
    assert store.sensor == (40, 50)


def test_what_is_beyond_guessing(folder, out):
    written(folder, {"notes.txt": b"x"})
    with pytest.raises(ConfigError, match=r"format: expected one given, of n-mnist, .*, got no file that says"):
        import_events(folder, out)
    written(folder, {"a.dat": files.dat([]), "b.raw": files.evt2([])})
    with pytest.raises(ConfigError, match="got files that could be dat or evt"):
        import_events(folder, out)
    lone = written(folder / "lone", {"a.aedat": files.aedat2([], files.dvs128_address)})
    with pytest.raises(ConfigError, match="got no file that says what it is"):
        import_events(lone, out)


@pytest.mark.parametrize(
    ("begin", "said"),
    [
        (b"#!AER-DAT1.0\r\n", "no file that says what it is: a.aedat is AEDAT 1.0$"),
        (b"#!AER-DAT3.0\r\n", "no file that says what it is: a.aedat is AEDAT 3.0$"),
        (
            b"#!AER-DAT2.0\n# AEChip: eu.Davis640\n",
            "no file that says what it is: a.aedat is AEDAT 2.0 of eu.Davis640$",
        ),
        (b"#!AER-DAT", "no file that says what it is$"),
    ],
)
def test_a_file_that_is_not_read_is_named(folder, out, begin, said):
    with pytest.raises(ConfigError, match=said):
        import_events(written(folder, {"a.aedat": begin + bytes(80)}), out)


@pytest.mark.events
def test_aedat4_is_told_by_its_first_line(folder, out):
    folder.mkdir()
    files.aedat4(folder / "a.aedat", [events_of(1)], None)
    done, store = imported(folder, out)
    assert (done.format, files.listed(store[0])) == ("aedat4", events_of(1))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "nmnist"}, ConfigError, "format: expected one of n-mnist"),
        ({"format": "dat"}, FileError, r"expected files \*\.dat, got none of 1 files"),
        (
            {"format": "numpy"},
            ConfigError,
            "set: sensor: expected the sensor's size, .*--sensor WIDTHxHEIGHT, got none",
        ),
        ({"format": "shd", "sensor": (1, 700)}, ConfigError, "shd: sensor: expected none given"),
        ({"limit": 0}, ConfigError, "limit: expected a whole number of at least 1"),
        ({"repair": ("mend",)}, ConfigError, "repair: expected some of"),
    ],
)
def test_what_is_asked_for_wrongly(folder, out, options, error, message):
    array_file(folder / "a.npy")
    with pytest.raises(error, match=message):
        import_events(folder, out, **options)
    assert list(out.parent.iterdir()) == []


def test_files_that_are_not_there_or_damaged(tmp_path, folder, out):
    with pytest.raises(FileError, match="no such file or folder"):
        import_events(tmp_path / "none", out)
    bad = tmp_path / "a.zip"
    bad.write_bytes(b"PK not a zip")
    with pytest.raises(FormatError, match="expected a whole zip archive"):
        import_events(bad, out)
    with zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Train/1/1.bin", files.atis_bin(events_of(1, count=500)))
        archive.writestr("Train/1/2.h5", b"x")
    data = bytearray(bad.read_bytes())
    data[200] ^= 0xFF
    bad.write_bytes(bytes(data))
    with pytest.raises(FormatError, match=r"Train/1/1\.bin: not a whole archive"):
        import_events(bad, out, format="n-mnist")
    with pytest.raises(DataError, match="expected a folder for this format, got an archive"):
        import_events(bad, out, format="dsec")
    assert list(out.parent.iterdir()) == []


def test_repairs_of_a_whole_folder_are_counted(folder, out):
    good, back = events_of(1), [(1, 1, 9, 1), (1, 1, 5, 0), (40, 1, 9, 0)] + [(2, 2, 99, 1)] * 60
    content = {"0/a.bin": good, "0/b.bin": back, "1/c.bin": back, "1/d.bin": []}
    written(folder, {name: files.atis_bin(events) for name, events in content.items()})
    (folder / "0/a.bin").write_bytes(files.atis_bin(good) + b"ab")
    repairs = ["truncate", "drop", "sort", "skip"]
    for missing in repairs:
        with pytest.raises((DataError, FormatError), match=f"repair '{missing}'"):
            import_events(folder, out, repair=[name for name in repairs if name != missing])
        assert list(out.parent.iterdir()) == []
    done, store = imported(folder, out, repair=repairs)
    assert done.repairs == {"truncate": (1, 2), "drop": (2, 2), "sort": (2, 2), "skip": (1, 1)}
    assert store.notes["repairs"] == {name: list(counts) for name, counts in done.repairs.items()}
    assert files.listed(store[1])[:3] == [(1, 1, 5, 0), (1, 1, 9, 1), (2, 2, 99, 1)]


def test_nothing_but_empty_recordings(folder, out):
    written(folder, {"0/a.bin": b""})
    with pytest.raises(DataError, match="expected a recording with events, got none in 1"):
        import_events(folder, out, repair=("skip",))


def test_a_limit_keeps_proportions_and_progress_is_told(folder, out):
    content = {
        f"{part}/{label}/{k}.bin": files.atis_bin(events_of(k))
        for part in ("train", "test")
        for label in "01"
        for k in range(6)
    }
    written(folder, content)
    told = []
    done, store = imported(folder, out, limit=4, progress=lambda done, total: told.append((done, total)))
    assert done.splits == {"train": 4, "test": 4}
    assert store.labels.tolist() == [0, 0, 1, 1] * 2
    assert told == [(k, 8) for k in range(1, 9)]
    again = imported(folder, out, limit=4)[1]
    assert [again.name(k) for k in range(8)] == [store.name(k) for k in range(8)]


def test_one_recording_is_read_alone(folder):
    written(folder, {"0/a.bin": files.atis_bin(events_of(1)), "0/b.bin": b""})
    assert files.listed(read_events(folder / "0" / "a.bin", format="n-mnist")) == events_of(1)
    with pytest.raises(DataError, match="expected one recording, got 2: import them"):
        read_events(folder, format="n-mnist")
    with pytest.raises(DataError, match="expected a recording with events, got none"):
        read_events(folder / "0" / "b.bin", format="n-mnist", repair=("skip",))


def test_recordings_are_read_one_after_the_other(folder):
    content = {"0/a.bin": events_of(1), "0/b.bin": [], "1/c.bin": events_of(2)}
    written(folder, {name: files.atis_bin(events) for name, events in content.items()})
    found = Recordings(folder, format="n-mnist", repair=("skip",))
    assert (len(found), found.format, found.classes) == (3, "n-mnist", tuple("0123456789"))
    for _ in range(2):
        assert [(one.name, one.label, files.listed(one)) for one in found] == [
            ("0/a.bin", 0, events_of(1)),
            ("1/c.bin", 1, events_of(2)),
        ]
    with pytest.raises(DataError, match=r"0/b\.bin: expected at least one event"):
        list(Recordings(folder, format="n-mnist"))
    with pytest.raises(ConfigError, match="repair: expected some of"):
        Recordings(folder, repair=("mend",))


def test_every_format_has_a_name_of_its_own():
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("kind", ["shd", "ssc"])
def test_a_set_of_spikes_that_was_renamed_is_named(tmp_path, kind):
    """The names say which part a file is; before, the message said only what was not there."""
    (tmp_path / "my_spikes.h5").write_bytes(b"x")
    for path in (tmp_path / "my_spikes.h5", tmp_path):
        with pytest.raises(FileError, match=rf"{kind}_train\.h5, .*whose names say which part.*got my_spikes\.h5$"):
            import_events(path, tmp_path / "out.h5", format=kind)
