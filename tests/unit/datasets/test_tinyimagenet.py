"""TinyImageNet's folders, made of small JPEG files here: labels, names, order, and what is damaged."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from qpsnn_core.common.errors import FileError, FormatError
from qpsnn_datasets import load_data

WNIDS = ("n02", "n01", "n03")


def jpeg(level, mode="RGB", side=64):
    """One even grey: JPEG keeps it within a step or two."""
    file = io.BytesIO()
    Image.new(mode, (side, side), (level,) * 3 if mode == "RGB" else level).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Three classes in the order of wnids.txt; two training images each, one in grey; four to validate with."""
    root = tmp_path / "tiny-imagenet-200"
    for number, wnid in enumerate(WNIDS):
        images = root / "train" / wnid / "images"
        images.mkdir(parents=True)
        for k in range(2):
            (images / f"{wnid}_{k}.JPEG").write_bytes(jpeg(50 * number + 10 * k, "L" if k else "RGB"))
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (root / "words.txt").write_text("n01\tcat, house cat\nn02\tdog\nn03\tcat\nn04\tnothing\n")
    (root / "val" / "images").mkdir(parents=True)
    lines = []
    for k, wnid in enumerate(("n03", "n01", "n02", "n01")):
        (root / "val" / "images" / f"val_{k}.JPEG").write_bytes(jpeg(200 + 10 * k))
        lines.append(f"val_{k}.JPEG\t{wnid}\t0\t0\t62\t62")
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("above", [False, True])
def test_classes_images_and_labels(folder, above):
    train, test = load_data("tinyimagenet", folder.parent if above else folder)
    assert train.images.shape == (6, 64, 64, 3)
    assert train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert train.classes == ("dog", "cat", "cat (n03)")
    assert test.labels.tolist() == [2, 1, 0, 1]
    np.testing.assert_allclose(train.images.mean((1, 2, 3)), [0, 10, 50, 60, 100, 110], atol=2)
    np.testing.assert_allclose(test.images.mean((1, 2, 3)), [200, 210, 220, 230], atol=2)
    assert (train.name, test.name) == ("tinyimagenet.train", "tinyimagenet.test")


def test_a_limit_decodes_no_more(folder):
    """One image of each class: which of n01's two it is, damage to the other shows not."""
    whole = []
    for k in range(2):
        file = folder / "train" / "n01" / "images" / f"n01_{k}.JPEG"
        content = file.read_bytes()
        file.write_bytes(b"no image")
        with pytest.raises(FormatError, match=rf"n01_{k}\.JPEG: expected a whole JPEG image"):
            load_data("tinyimagenet", folder)
        try:
            whole.append(load_data("tinyimagenet", folder, limit=3).train.labels.tolist())
        except FormatError:
            whole.append(None)
        file.write_bytes(content)
    assert sorted(whole, key=str) == [None, [0, 1, 2]] or sorted(whole, key=str) == [[0, 1, 2], None]


def test_without_words(folder):
    (folder / "words.txt").unlink()
    assert load_data("tinyimagenet", folder).test.classes == WNIDS


def test_what_is_missing_or_damaged(folder, tmp_path):
    annotations = folder / "val" / "val_annotations.txt"
    text = annotations.read_text()
    with pytest.raises(FileError, match="no such file or folder"):
        load_data("tinyimagenet", tmp_path / "nowhere")
    for broken in ("val_0.JPEG\tn09\t0\n", "val_0.JPEG\n"):
        annotations.write_text(broken)
        with pytest.raises(FormatError, match=r"val_annotations\.txt, line 1"):
            load_data("tinyimagenet", folder)
    annotations.write_text("\n")
    with pytest.raises(FormatError, match="a line for each image"):
        load_data("tinyimagenet", folder)
    annotations.write_text(text)
    (folder / "val" / "images" / "val_2.JPEG").write_bytes(jpeg(5, side=32))
    with pytest.raises(FormatError, match=r"val_2\.JPEG: expected .64, 64, 3., got .32, 32, 3."):
        load_data("tinyimagenet", folder)
    (folder / "val" / "images" / "val_2.JPEG").unlink()
    with pytest.raises(FileError, match=r"val_2\.JPEG"):
        load_data("tinyimagenet", folder)
    (folder / "wnids.txt").write_text("n01\nn01\n")
    with pytest.raises(FormatError, match="classes, each once"):
        load_data("tinyimagenet", folder)
    (folder / "wnids.txt").write_text("n05\n")
    with pytest.raises(FileError, match=r"n05.images: expected \*\.JPEG"):
        load_data("tinyimagenet", folder)
