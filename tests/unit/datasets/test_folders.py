"""Images in class folders: order, labels, scaling and cutting, several workers, and what is damaged or missing."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from qpsnn_core.common.errors import ConfigError, FileError, FormatError
from qpsnn_datasets import load_data, load_imagenet
from qpsnn_datasets.folders import scaled


def jpeg(level, size=(40, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Classes b and a: three and two training images, one and two to validate with."""
    for part, counts, base in (("train", {"b": 3, "a": 2}, 0), ("val", {"b": 1, "a": 2}, 120)):
        for name, count in counts.items():
            inner = tmp_path / part / name
            inner.mkdir(parents=True)
            for k in range(count):
                level = base + 50 * (name == "b") + 10 * k
                (inner / f"{k}.JPEG").write_bytes(jpeg(level, (40 + k, 30)))
            (inner / "notes.txt").write_text("no image")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
def test_classes_labels_and_pixels(folder, workers):
    """Four workers: one of five images has fewer than the others, and three images have no more than three."""
    train, test = load_imagenet(folder, side=16, workers=workers)
    assert train.images.shape == (5, 16, 16, 3)
    assert train.classes == test.classes == ("a", "b")
    assert train.labels.tolist() == [0, 0, 1, 1, 1]
    assert test.labels.tolist() == [0, 0, 1]
    np.testing.assert_allclose(train.images.mean((1, 2, 3)), [0, 10, 50, 60, 70], atol=2)
    np.testing.assert_allclose(test.images.mean((1, 2, 3)), [120, 130, 170], atol=2)
    assert test.name == "imagenet.test"


def test_the_usual_size_and_a_limit(folder):
    train, test = load_data("imagenet", folder, limit=2)
    assert train.images.shape == (2, 224, 224, 3)
    assert train.labels.tolist() == [0, 1]
    assert len(test) == 2


@pytest.mark.parametrize("size", [(64, 64), (64, 128), (128, 64), (65, 200)])
def test_the_middle_is_cut_out_of_the_scaled_image(size):
    """A ramp across the longer side: the value in the middle stays in the middle, at the scale of 256/224."""
    width, height = size
    ramp = np.broadcast_to(np.linspace(0, 255, max(size)), (min(size), max(size)))
    ramp = ramp if width >= height else ramp.T
    out = np.asarray(scaled(Image.fromarray(ramp.round().astype(np.uint8)).convert("RGB"), 56))
    assert out.shape == (56, 56, 3)
    line = out[28, :, 0].astype(float) if width >= height else out[:, 28, 0].astype(float)
    assert line[27:29].mean() == pytest.approx(127.5, abs=3)
    slope = 255 / (max(size) - 1) * min(size) / 64
    assert np.polyfit(np.arange(56), line, 1)[0] == pytest.approx(slope, rel=0.05)


@pytest.mark.slow
def test_what_is_damaged_or_missing(folder, tmp_path):
    broken = folder / "train" / "b" / "1.JPEG"
    broken.write_bytes(jpeg(3)[:-40])
    for workers in (1, 3):
        with pytest.raises(FormatError, match=r"b/1\.JPEG: expected a whole JPEG image"):
            load_imagenet(folder, side=8, workers=workers)
    broken.unlink()
    (folder / "val" / "c").mkdir()
    with pytest.raises(FormatError, match=r"val/c: expected one of the classes of train"):
        load_imagenet(folder, side=8, workers=1)
    (folder / "val" / "c").rmdir()
    with pytest.raises(FileError, match="nowhere"):
        load_imagenet(tmp_path / "nowhere")
    with pytest.raises(FileError, match="a folder of class folders"):
        load_imagenet(folder / "train" / "a")
    (folder / "none" / "train").mkdir(parents=True)
    with pytest.raises(FileError, match="a folder for each class"):
        load_imagenet(folder / "none")
    (folder / "none" / "train" / "a").mkdir()
    with pytest.raises(FileError, match="JPEG files in its class folders"):
        load_imagenet(folder / "none")
    for options, message in (({"side": 0}, r"imagenet\.side"), ({"workers": 0}, r"imagenet\.workers")):
        with pytest.raises(ConfigError, match=message):
            load_imagenet(folder, **options)


@pytest.mark.slow
def test_nothing_is_left_on_the_disk(folder, tmp_path, monkeypatch):
    import tempfile

    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    data = load_imagenet(folder, side=8, workers=1)
    assert list(room.iterdir()) == []
    assert data.train.images.sum() > 0
    (folder / "val" / "a" / "0.JPEG").write_bytes(b"none")
    for workers in (1, 2):
        with pytest.raises(FormatError):
            load_imagenet(folder, side=8, workers=workers)
        assert list(room.iterdir()) == []
