"""`qpsnn events`: import, info, show; and that the pages about it say what is."""

from __future__ import annotations

import json
import re
import shlex

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

from generators import event_files as files
from rich.console import Console

from qpsnn_core.cli import show
from qpsnn_datasets.events import NAMES, REPAIRS, Recording, event_writer, load_events

pytestmark = pytest.mark.cli


@pytest.fixture
def n_mnist(tmp_path):
    """Two classes, two splits, 300 ms; a ring that grows."""
    for part, label in (("Train", 3), ("Train", 8), ("Test", 3)):
        folder = tmp_path / "N-MNIST" / part / str(label)
        folder.mkdir(parents=True)
        turns = np.arange(600) / 600
        x, y = (17 + 15 * turns * wave(40 * turns) for wave in (np.cos, np.sin))
        events = [(int(a), int(b), k * 500, k % 2) for k, (a, b) in enumerate(zip(x, y, strict=True))]
        (folder / "1.bin").write_bytes(files.atis_bin(events))
    return tmp_path / "N-MNIST"


@pytest.fixture
def store(qpsnn, n_mnist, tmp_path):
    assert qpsnn("events", "import", n_mnist, "-o", tmp_path / "store.h5")[0] == 0
    return tmp_path / "store.h5"


def test_import_says_what_it_wrote(qpsnn, n_mnist, tmp_path):
    out = tmp_path / "store.h5"
    code, text, _ = qpsnn("events", "import", n_mnist, "-o", out, "--json")
    assert code == 0
    figures = json.loads(text)
    assert (figures["format"], figures["recordings"], figures["events"]) == ("n-mnist", 3, 1800)
    assert figures["splits"] == {"train": 2, "test": 1}
    assert figures["bytes"] == out.stat().st_size
    code, text, _ = qpsnn("events", "import", n_mnist, "-o", out, "--limit", 1)
    assert code == 0
    assert "n-mnist" in text
    assert len(load_events(out)) == 2


def test_repairs_are_asked_for_and_reported(qpsnn, n_mnist, tmp_path):
    bad = n_mnist / "Test" / "3" / "1.bin"
    bad.write_bytes(bad.read_bytes() + files.atis_bin([(40, 3, 9, 1)]))
    words = ("events", "import", n_mnist, "-o", tmp_path / "store.h5")
    code, _, err = qpsnn(*words)
    assert code == 2
    assert err.startswith("error: Test/3/1.bin.events[600]: expected on the sensor of 34x34 pixels")
    assert "repair 'drop' or 'clip'" in err
    assert not (tmp_path / "store.h5").exists()
    code, _, err = qpsnn(*words, "--repair", "drop,mend")
    assert (code, "'mend'" in err) == (2, True)
    code, text, _ = qpsnn(*words, "--repair", "clip, sort")
    assert code == 0
    assert "clip: 1 in 1 recordings" in text
    code, text, _ = qpsnn(*words, "--repair", "drop", "--json")
    assert json.loads(text)["repairs"] == {"drop": {"recordings": 1, "amount": 1}}
    assert "drop: (recordings: 1, amount: 1)" in qpsnn("events", "info", tmp_path / "store.h5")[1]


def test_info(qpsnn, store):
    code, text, _ = qpsnn("events", "info", store, "--json")
    assert code == 0
    figures = json.loads(text)
    seconds = 3 * 599 * 500 / 1e6
    assert figures["events_per_second"] == pytest.approx(1800 / seconds)
    assert (figures["recordings"], figures["seconds"], figures["on_share"]) == (3, pytest.approx(seconds), 0.5)
    assert (figures["sensors"], figures["t"]) == ({"34x34": 3}, [0, 299_500])
    with load_events(store) as opened:
        columns = [np.concatenate([getattr(recording, name) for recording in opened]) for name in "xy"]
    assert [figures["x"], figures["y"]] == [[int(column.min()), int(column.max())] for column in columns]
    assert [row["recordings"] for row in figures["classes"]] == [0, 0, 0, 2, 0, 0, 0, 0, 1, 0]
    code, table, _ = qpsnn("events", "info", store)
    assert code == 0
    assert all(name in table for name in ("events_per_second", "34x34: 3", "train: 2, test: 1"))


def test_info_of_a_store_without_anything(qpsnn, tmp_path):
    with event_writer(tmp_path / "store.h5", ()):
        pass
    for words in ((), ("--json",)):
        assert qpsnn("events", "info", tmp_path / "store.h5", *words)[0] == 0


def test_show_in_the_terminal(qpsnn, store, monkeypatch):
    monkeypatch.setattr(show, "out", Console(width=60, height=30, color_system=None, force_terminal=False))
    code, text, _ = qpsnn("events", "show", store, 1)
    assert code == 0
    lines = text.split("\n")
    assert lines[0] == "1: Train/3/1.bin (3): 600 events, 0.2995 s"
    assert all(len(line) == 34 for line in lines[1:18])
    assert {"▀", "▄", "█", " "} >= set("".join(lines[1:18])) > {" "}
    assert set(lines[18]) <= set("▁▂▃▄▅▆▇█")


def test_show_in_colour(qpsnn, tmp_path, monkeypatch):
    """One ON event at the top left, one OFF event below it, and one OFF event in the last row, of three."""
    columns = [np.array(values) for values in ([0, 0, 1], [0, 1, 2], [1, 2, 3], [1, 0, 0])]
    with event_writer(tmp_path / "store.h5", ()) as store:
        store.add(Recording(*columns, sensor=(3, 2)))
    monkeypatch.setattr(show, "out", Console(width=60, height=30, color_system="truecolor", force_terminal=True))
    code, text, _ = qpsnn("events", "show", tmp_path / "store.h5", 0)
    assert code == 0
    lines = text.split("\n")
    assert lines[1] == "\x1b[38;2;80;170;255;48;2;255;140;60m▀\x1b[0m "
    assert lines[2] == " \x1b[38;2;255;140;60m▀\x1b[0m"


@pytest.mark.plot
@pytest.mark.parametrize("slices", [1, 4, 8])
def test_show_as_a_picture(qpsnn, store, tmp_path, slices):
    image = pytest.importorskip("PIL.Image")
    code, text, _ = qpsnn("events", "show", store, 0, "-o", tmp_path / "a.png", "--slices", slices)
    assert (code, text.strip()) == (0, str(tmp_path / "a.png"))
    pixels = np.asarray(image.open(tmp_path / "a.png").convert("RGB")).reshape(-1, 3).astype(int)
    blue = (pixels[:, 2] - pixels[:, 0] > 60).sum()
    orange = (pixels[:, 0] - pixels[:, 2] > 60).sum()
    assert min(blue, orange) > 500


@pytest.mark.plot
def test_show_as_a_moving_picture(qpsnn, store, tmp_path):
    image = pytest.importorskip("PIL.Image")
    words = ("events", "show", store, 0, "-o", tmp_path / "a.gif", "--begin", 100, "--end", 200, "--slices", 7)
    assert qpsnn(*words)[0] == 0
    moving = image.open(tmp_path / "a.gif")
    assert moving.n_frames == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["N-MNIST", "a.gif", "store.h5"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "{store}", 3), "INDEX: expected a recording, 0 to 2, got 3"),
        (("show", "{store}", 0, "-o", "a.jpg"), "--out: expected a file .png or .gif"),
        (("show", "{store}", 0, "--begin", 5, "--end", 4), "window: expected a stop of at least"),
        (("show", "{store}", 0, "--begin", 900), "expected an event between --begin and --end, got none"),
        (("info", "{folder}"), "no such file"),
        (("info", "{bin}"), "not a whole HDF5 file"),
        (("import", "{folder}", "--sensor", "34"), "--sensor: expected WIDTHxHEIGHT, such as 640x480, got '34'"),
        (("import", "{folder}", "--sensor", "34x0"), "sensor: expected a whole number of at least 1, got 0"),
        (("import", "{folder}", "--format", "nmnist"), "format: expected one of n-mnist"),
        (("import", "{bin}"), "format: expected one given"),
        (("import", "nowhere"), "no such file or folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(qpsnn, store, n_mnist, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(n_mnist)
    places = {"store": store, "folder": n_mnist, "bin": n_mnist / "Test" / "3" / "1.bin"}
    code, _, err = qpsnn("events", *(str(word).format(**places) for word in words))
    assert code == 2, err
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in n_mnist.iterdir()) == ["Test", "Train"]


@pytest.mark.parametrize("name", ["import", "info", "show"])
def test_every_command_has_help(qpsnn, name):
    code, out, _ = qpsnn("events", name, "--help")
    assert code == 0
    assert "Usage" in out


@pytest.mark.plot
def test_the_pages_commands_and_example_run(qpsnn, n_mnist, tmp_path, monkeypatch, root, capsys):
    import shutil

    monkeypatch.chdir(tmp_path)
    shutil.make_archive("N-MNIST", "zip", n_mnist)
    page = (root / "docs" / "event-files.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"^```(sh|python)\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    commands = [shlex.split(line)[1:] for line in blocks["sh"].strip().split("\n")]
    assert len(commands) == 5
    for command in commands:
        code, out, err = qpsnn(*command)
        assert code == 0, err
        assert out.strip()
    assert (tmp_path / "digit.png").stat().st_size > 1000
    assert (tmp_path / "digit.gif").stat().st_size > 1000
    exec(compile(blocks["python"], "docs/event-files.md", "exec"), {})
    assert capsys.readouterr().out.endswith("(34, 34) 2\n")


def test_the_page_names_every_format_and_repair(root):
    page = (root / "docs" / "event-files.md").read_text(encoding="utf-8")
    firsts = [line.split("|")[1] for line in page.split("\n") if line.startswith("| `")]
    named = [
        name
        for first in firsts
        for name in re.findall(r"`([a-z0-9-]+)`", first)
        if name not in ("--format", "--repair")
    ]
    assert sorted(named) == sorted([*NAMES, *REPAIRS])
