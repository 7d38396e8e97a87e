"""Every reader on files cut short and altered: a typed error or a value, in bounded time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CASES = int(os.environ.get("QPSNN_FUZZ_CASES", "30"))

# Imports once what is tested, then forks a process for each line that it reads: a file that hangs or takes too much
# ends that one, whose last line names the case.
CHILD = """
import gzip, json, os, pickle, random, resource, signal, sys, traceback, zipfile
from pathlib import Path
import h5py
import numpy as np
import qpsnn_core as qp
from qpsnn_core import local_learning
from qpsnn_core.errors import QpsnnError
from qpsnn_core.local_learning.decolle import Decolle, LocalConv, LocalDense, LocalNeuron
from qpsnn_core.local_learning.decolle_file import DecolleCheckpoint, load_decolle, save_decolle
from qpsnn_core.local_learning.decolle_model import initialise_decolle
from qpsnn_core.local_learning.decolle_run import first_moments
from qpsnn_datasets.cifar import load_cifar10
from qpsnn_datasets.detection.boxes import BoxReport, gathered
from qpsnn_datasets.detection.coco import read_coco
from qpsnn_datasets.detection.gen1 import read_boxes
from qpsnn_datasets.detection.texts import read_vhr10, read_yolo
from qpsnn_datasets.detection.voc import read_voc
from qpsnn_datasets.events import event_writer, import_events, load_events, read_events, Recording
from qpsnn_datasets.jpeg_h5 import load_jpeg_h5
from qpsnn_datasets.mnist import read_idx
from qpsnn_datasets.pickles import read_pickle
from qpsnn_datasets.registry import load_part

WHOLE = Path("whole")
model = lambda: qp.initialise(qp.build("mlp", (4, 4, 1), 3, widths=(6,)))

def zip_of_events():
    with zipfile.ZipFile(WHOLE, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3):
            archive.writestr(f"Train/{k}/0000{k}.bin", bytes(range(30)))

def prophesee():
    events = np.zeros(9, np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]))
    with h5py.File(WHOLE, "w") as file:
        file.create_dataset("CD/events", data=events, chunks=(4,), compression="gzip")
        file.attrs["geometry"] = "4x4"

def spikes():
    with h5py.File(WHOLE, "w") as file:
        for key in ("units", "times"):
            rows = file.create_dataset("spikes/" + key, 3, h5py.vlen_dtype(np.float32 if key == "times" else np.uint16))
            for k in range(3):
                rows[k] = [0, 1, 2]
        file["labels"], file["extra/keys"] = [0, 1, 0], ["a", "b"]

def store():
    columns = [(np.arange(9) % 2).astype(kind) for kind in (np.uint16, np.uint16, np.int64, np.bool_)]
    columns[2] = np.arange(9)
    with event_writer(WHOLE, ("a",)) as writer:
        for k in range(3):
            writer.add(Recording(*columns, sensor=(4, 4), label=0, name=str(k)), "train")

def jpegs():
    from PIL import Image
    import io
    image = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(image, "JPEG")
    joined = np.frombuffer(2 * image.getvalue(), np.uint8)
    with h5py.File(WHOLE, "w") as file:
        file.attrs["classes"] = ["a", "b"]
        for part in ("train", "test"):
            file[part + "/jpeg"], file[part + "/label"] = joined, [0, 1]
            file[part + "/offset"] = [0, len(joined) // 2, len(joined)]

def nir():
    from qpsnn_core.exchange.nir_export import save_nir
    save_nir(WHOLE, model())

def load_nir(path):
    from qpsnn_core.exchange.nir_import import load_nir
    return load_nir(path)

def shd(path):
    path.replace("shd_train.h5")
    return import_events("shd_train.h5", "out.h5", format="shd")

def local():
    network = local_learning.DiehlCook(6, 3, "single", 17.5, rule=local_learning.STDP(total=2.0))
    learnt = local_learning.initialise(network, local_learning.NumberFormats(None, None, None), 1)
    local_learning.save_local(WHOLE, local_learning.LocalCheckpoint(learnt))

def decolle():
    network = Decolle((3, 3, 1), 2, (LocalConv(2, 2), LocalDense(3)), LocalNeuron("plain", 1.0))
    save_decolle(WHOLE, DecolleCheckpoint(initialise_decolle(network, 1), first_moments(network)))

def saved():
    images, labels = np.zeros((8, 2, 2, 1), np.int8), np.arange(8) % 2
    qp.Dataset(images, labels, ("a", "b"), "x", 0.5).split(0.5, 0).save(WHOLE)

def picture():
    from PIL import Image
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(WHOLE, "PNG")

def load_picture(path):
    Path("set/a").mkdir(parents=True, exist_ok=True)
    path.replace("set/a/0.png") if path != WHOLE else Path("set/a/0.png").write_bytes(path.read_bytes())
    return load_part("folder", "set", "test")

VOC = "<annotation><size><width>9</width><height>8</height></size>" + (
    "<object><name>a</name><difficult>0</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax>"
    "</bndbox></object>"
) + "</annotation>"

def load_voc(path):
    size, boxes = read_voc(path.read_bytes(), "x")
    return gathered([("x", *(size or (8, 9)), boxes)], [box.label for box in boxes] or ["a"], BoxReport())

def coco():
    things = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0}
    images = [{"id": 1, "file_name": "a.png", "height": 8, "width": 9}]
    WHOLE.write_text(json.dumps({"images": images, "annotations": [things], "categories": [{"id": 2, "name": "a"}]}))

def load_coco(path):
    classes, images = read_coco(path.read_bytes(), "x")
    return gathered(images, classes, BoxReport())

def gen1_boxes():
    kinds = [("ts", "<u8"), *((side, "<f4") for side in "xywh"), ("class_id", "u1"), ("track_id", "<u4")]
    with WHOLE.open("wb") as file:
        np.save(file, np.zeros(5, kinds))

KINDS = {
    "voc": (lambda: WHOLE.write_text(VOC), load_voc),
    "coco": (coco, load_coco),
    "gen1": (gen1_boxes, lambda path: read_boxes(path.read_bytes(), "x")),
    "yolo": (
        lambda: WHOLE.write_text("0 0.5 0.5 0.1 0.2" + chr(10) + "1 0.25 0.5 0.1 0.2"),
        lambda path: read_yolo(path.read_bytes().decode("latin-1"), "x", ("a", "b")),
    ),
    "vhr10": (
        lambda: WHOLE.write_text("(1,2),(30,40),1" + chr(10) + "( 5,6 ),(7, 8),10"),
        lambda path: read_vhr10(path.read_bytes().decode("latin-1"), "x"),
    ),
    "saved": (saved, lambda path: qp.load_data("saved", path)),
    "picture": (picture, load_picture),
    "checkpoint": (lambda: qp.save_checkpoint(WHOLE, qp.Checkpoint(model())), qp.load_checkpoint),
    "local": (local, local_learning.load_local),
    "decolle": (decolle, load_decolle),
    "integer": (lambda: qp.save_integer(WHOLE, qp.lower(model()).network), qp.load_integer),
    "network": (lambda: qp.save_network(WHOLE, model().network), qp.load_network),
    "recipe": (lambda: WHOLE.write_text(qp.Recipe().to_toml()), qp.load_recipe),
    "zip": (zip_of_events, lambda path: import_events(path.replace("a.zip"), "out.h5", format="n-mnist")),
    "npz": (
        lambda: np.savez_compressed(WHOLE.open("wb"), **{name: np.arange(4) % 2 for name in "xyp"}, t=np.arange(4)),
        lambda path: read_events(path.replace("a.npz"), format="numpy", sensor=(4, 4)),
    ),
    "prophesee": (prophesee, lambda path: read_events(path.replace("a.h5"), format="prophesee-h5")),
    "shd": (spikes, shd),
    "store": (store, lambda path: list(load_events(path))),
    "jpegs": (jpegs, lambda path: load_jpeg_h5(path, "a")),
    "nir": (nir, load_nir),
    "idx": (
        lambda: WHOLE.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + bytes(9))),
        lambda path: read_idx(path.replace("a.gz"), 1),
    ),
    "pickle": (
        lambda: WHOLE.write_bytes(pickle.dumps({b"data": np.zeros((2, 8), np.uint8), b"labels": [1, 2]}, 2)),
        lambda path: read_pickle(path.read_bytes(), path),
    ),
}

def altered(whole, rng):
    data = bytearray(whole)
    if rng.random() < 0.2:
        return data[: rng.randrange(len(data))]
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data))
        data[at] = rng.choice((0, 1, 255, data[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
    return data

def judge(kind, seed, cases):
    make, read = KINDS[kind]
    rng = random.Random(seed)
    make()
    whole, seen = WHOLE.read_bytes(), {"refused": 0, "read": 0}
    read(WHOLE)  # it is whole, and what compiles is compiled
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30,) * 2)
    for case in range(cases):
        print("case", case, flush=True)
        path = Path("damaged")
        path.write_bytes(altered(whole, rng))
        signal.alarm(60)  # a hang of HDF5 is told after two seconds of the processor
        try:
            read(path)
            seen["read"] += 1
        except QpsnnError:
            seen["refused"] += 1
    signal.alarm(0)
    own = Path("/proc/self/status")  # getrusage counts what the process that forked this one had, too
    lines = own.read_text().splitlines() if own.exists() else []
    self = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")] or [resource.getrusage(0).ru_maxrss]
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({**seen, "megabytes": max(*self, children) >> 10}), flush=True)

def apart(folder, *given):
    os.chdir(folder)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), stream)
    status = 1
    try:
        judge(*given)
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(status)

for line in sys.stdin:
    folder, kind, seed, cases = json.loads(line)
    if (child := os.fork()) == 0:
        apart(folder, kind, seed, cases)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

KINDS = (
    *("checkpoint", "integer", "network", "recipe", "zip", "npz", "prophesee"),
    *("voc", "coco", "gen1", "yolo", "vhr10"),
    *("shd", "store", "jpegs", "nir", "idx", "pickle", "saved", "picture", "local", "decolle"),
)
NEEDS = {"jpegs": "PIL", "picture": "PIL", "nir": "nir"}


@pytest.fixture(scope="module")
def reads() -> Iterator[Callable[[Path, str], int]]:
    """`reads(folder, kind)`: a process reads damaged files there, and leaves what it says; its exit status."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdin is not None
        assert it.stdout is not None
        standard_input, standard_output = it.stdin, it.stdout

        def status(folder: Path, kind: str) -> int:
            standard_input.write(json.dumps((str(folder), kind, 1, CASES)) + "\n")
            standard_input.flush()
            return int(standard_output.readline())

        yield status


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory and time as Linux does")
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_or_read(tmp_path: Path, kind: str, reads: Callable[[Path, str], int]) -> None:
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    status = reads(tmp_path, kind)
    said, errors = ((tmp_path / name).read_text() for name in ("out", "err"))
    assert status == 0, f"{said.splitlines()[-1:]} {status}\n{errors[-2000:]}"
    seen = json.loads(said.splitlines()[-1])
    assert seen["refused"] + seen["read"] == CASES
    assert seen["refused"] > CASES // 10
    assert seen["megabytes"] < 1000
