"""Folders of pictures: layouts, sizes, colours, and files that are damaged or not what they should be, by name."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL", reason="the [data] extra is not installed (Pillow)")

from PIL import Image

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError, LabelError
from qpsnn_datasets import Dataset, load_data, source_of
from qpsnn_datasets.registry import load_part

RNG = np.random.default_rng(0)


def picture(path, size=(6, 5), colour="RGB", value=None):
    """A picture (H, W) of noise, or of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "LA": (2,)}[colour]
    pixels = RNG.integers(0, 256, (*size, *channels)) if value is None else np.full((*size, *channels), value)
    Image.fromarray(pixels.astype(np.uint8), colour).save(path)
    return pixels.astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes of four pictures each, and what file managers leave behind."""
    for name in ("cat", "dog"):
        for index in range(4):
            picture(tmp_path / "pets" / name / f"{index}.png")
    (tmp_path / "pets" / "Thumbs.db").write_text("x")
    (tmp_path / "pets" / "cat" / ".hidden").write_text("x")
    return tmp_path / "pets"


def test_class_folders_are_classes_and_pixels_stay(folder):
    made = Dataset.from_folder(folder, test=0.25, seed=1)
    assert (made.train.classes, made.train.name) == (("cat", "dog"), "pets.train")
    assert (len(made.train), len(made.test), made.train.sample_shape) == (6, 2, (6, 5, 3))
    every = {np.asarray(Image.open(file)).tobytes(): file.parent.name for file in folder.glob("*/*.png")}
    for data in made:
        for image, label in zip(data.images, data.labels, strict=True):
            assert every.pop(image.tobytes()) == data.classes[label]
    assert not every
    assert source_of(str(folder)) == ("folder", str(folder))
    assert made.train.origin == {
        **{"name": "folder", "path": str(folder), "limit": 0, "test": 0.25, "validation": 0.0, "split_seed": 1},
        **{"size": 0, "resize": "", "colour": ""},
    }


def test_folders_of_parts_are_the_parts(tmp_path):
    for part, count in (("train", 3), ("test", 2), ("validation", 1)):
        for name in ("a", "b"):
            for index in range(count):
                picture(tmp_path / "set" / part / name / f"{index}.jpg", colour="L")
    made = load_data("folder", tmp_path / "set")
    assert {part: len(one) for part, one in made.parts.items()} == {"train": 6, "test": 4, "validation": 2}
    assert made.train.sample_shape == (6, 5, 1)
    assert len(load_part("folder", tmp_path / "set", "validation")) == 2
    with pytest.raises(DataError, match=r"data\.test: expected no share, as the test part has pictures of its own"):
        load_data("folder", tmp_path / "set", test=0.2)
    (tmp_path / "set" / "other").mkdir()
    with pytest.raises(FormatError, match=r"other: expected train/, test/ or validation/ alone"):
        load_data("folder", tmp_path / "set")


@pytest.mark.parametrize("with_parts", [True, False])
def test_a_list_names_files_labels_and_parts(tmp_path, with_parts):
    rows = ["file,label,part" if with_parts else "file,label"]
    for index in range(8):
        picture(tmp_path / "all" / f"{index}.png", value=index)
        rows.append(
            f"all/{index}.png, {'xy'[index % 2]}" + (f",{'test' if index > 4 else 'train'}" if with_parts else "")
        )
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    for path in (tmp_path, tmp_path / "labels.csv"):
        made = Dataset.from_folder(path, test=0.0 if with_parts else 0.25)
        for data in made:
            assert [data.classes[label] for label in data.labels] == ["xy"[k % 2] for k in data.images[:, 0, 0, 0]]
        assert len(made.test) == (3 if with_parts else 2)
        assert not with_parts or made.test.images[:, 0, 0, 0].tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", FormatError, r"labels.csv: expected a header file,label"),
        ("name,label\n", FormatError, r"got name,label"),
        ("file,label\n", FormatError, r"expected a row for each picture, got none"),
        ("file,label\na.png\n", FormatError, r"labels.csv:2: expected 2 values: file, label"),
        ("file,label\na.png,\n", FormatError, r"labels.csv:2: expected 2 values"),
        ("file,label\na.png,x,y\n", FormatError, r"labels.csv:2: expected 2 values"),
        ("file,label,part\na.png,x,all\n", FormatError, r"labels.csv:2: part: expected train, test or validation"),
        ("file,label,part\na.png,x,train\n", DataError, r"labels.csv: part: expected pictures to train and to test on"),
        ("file,label\nb.png,x\n", FileError, r"b.png: expected the picture of .*labels.csv:2, got no such file"),
        (b"file,label\n\xff,x\n", FormatError, r"labels.csv: expected a CSV file in UTF-8"),
    ],
)
def test_a_wrong_list_is_named_by_its_line(tmp_path, text, error, said):
    picture(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(error, match=said):
        Dataset.from_folder(tmp_path, test=0.5)


@pytest.mark.parametrize(
    ("resize", "size", "left", "top"),
    [("crop", (10, 10), 5, 0), ("pad", (10, 10), 0, 2), ("stretch", (10, 10), 0, 0), ("crop", (5, 20), 0, 2)],
)
def test_sizes_are_brought_to_one_by_the_rule_that_was_asked_for(tmp_path, resize, size, left, top):
    """A picture of 10 x 20 whose left half is dark and right half bright."""
    pixels = np.full((10, 20, 3), 200, np.uint8)
    pixels[:, :10] = 50
    for index in range(4):
        (tmp_path / "x").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "x" / f"{index}.png")
    made = Dataset.from_folder(tmp_path, size=size if size[0] != size[1] else size[0], resize=resize, test=0.5)
    image = made.train.images[0, ..., 0].astype(int)
    assert image.shape == size
    middle = size[0] // 2
    assert image[middle, 0] == 50
    assert image[middle, -1] == 200
    if resize == "pad":
        assert not image[:top].any()
        assert not image[-top:].any()
        assert image[top, 0] == 50
    if resize == "crop" and size == (10, 10):
        np.testing.assert_array_equal(image, pixels[:, left : left + 10, 0])
    with pytest.raises(DataError, match=r"0\.png: expected 9 x 9 pixels, or resize = crop, stretch, pad, got 10 x 20"):
        load_part("folder", tmp_path, "test", size=9)


def test_pictures_of_two_sizes_or_colours_name_the_one_that_differs(folder):
    picture(folder / "dog" / "9.png", size=(6, 6))
    with pytest.raises(DataError, match=r"9\.png: expected \[6, 5, 3\], as .*0\.png has .*got \[6, 6, 3\]"):
        Dataset.from_folder(folder, test=0.25)
    picture(folder / "dog" / "9.png", colour="L")
    with pytest.raises(DataError, match=r"9\.png: expected \[6, 5, 3\]"):
        Dataset.from_folder(folder, test=0.25)
    assert Dataset.from_folder(folder, test=0.25, colour="rgb").train.image_shape == (6, 5, 3)
    assert Dataset.from_folder(folder, test=0.25, colour="gray").train.image_shape == (6, 5, 1)


def test_gray_is_luma_and_gray_in_colour_is_three_times_the_same(tmp_path):
    for name, colour in (("a", (250, 0, 0)), ("b", (0, 250, 0))):
        for index in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("RGB", (3, 3), colour).save(tmp_path / name / f"{index}.png")
    made = load_part("folder", tmp_path, "test", colour="gray")
    assert [int(image[0, 0, 0]) for image in made.images[::2]] == [75, 147]
    picture(tmp_path / "a" / "0.png", size=(3, 3), colour="L", value=9)
    assert load_part("folder", tmp_path, "test", colour="rgb").images[0, 0, 0].tolist() == [9, 9, 9]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pictures_are_refused_or_lie_before_black(tmp_path, mode):
    for index, alpha in enumerate((0, 255)):
        pixels = np.full((3, 3, len(mode)), 200, np.uint8)
        pixels[..., -1] = alpha
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(pixels, mode).save(tmp_path / "a" / f"{index}.png")
    with pytest.raises(DataError, match=r"0\.png: expected a picture without transparency .*before black"):
        load_part("folder", tmp_path, "test")
    for colour in ("rgb", "gray"):
        found = load_part("folder", tmp_path, "test", colour=colour).images
        assert [int(image[0, 0, 0]) for image in found] == [0, 200]


def test_palettes_and_turned_pictures_are_as_they_are_seen(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 250
    image = Image.fromarray(pixels)
    (tmp_path / "a").mkdir()
    image.convert("P").save(tmp_path / "a" / "0.png")
    assert load_part("folder", tmp_path, "test").images.shape == (1, 4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by a quarter
    image.save(tmp_path / "a" / "0.png", exif=exif)
    found = load_part("folder", tmp_path, "test").images[0]
    assert found.shape == (6, 4, 3)
    assert found[0, 3].tolist() == [250] * 3


def test_damaged_and_strange_files_are_named(folder):
    whole = (folder / "cat" / "2.png").read_bytes()
    for data in (b"", b"no picture", whole[: len(whole) // 2], whole[:40] + b"\0" * 40 + whole[80:]):
        (folder / "cat" / "2.png").write_bytes(data)
        with pytest.raises(FormatError, match=r"cat/2\.png: expected a whole PNG or JPEG picture") as caught:
            Dataset.from_folder(folder, test=0.25)
        assert " at 0x" not in str(caught.value), "no address in memory"
    Image.fromarray(np.zeros((6, 5), np.uint16)).save(folder / "cat" / "2.png")
    with pytest.raises(FormatError, match=r"cat/2\.png: expected 8 bits for each channel, got the mode I"):
        Dataset.from_folder(folder, test=0.25)
    (folder / "cat" / "2.png").unlink()
    (folder / "cat" / "notes.txt").write_text("x")
    with pytest.raises(FormatError, match=r"notes\.txt: expected a PNG or JPEG file, got \.txt"):
        Dataset.from_folder(folder, test=0.25)


def test_a_size_beyond_the_memory_is_refused_before_any_picture_is_scaled(folder):
    with pytest.raises(ConfigError, match=r"size: expected at most the .* GB that this machine has"):
        Dataset.from_folder(folder, size=10**6, resize="crop", test=0.25)
    picture(folder / "cat" / "0.png", (1, 60_000))
    with pytest.raises(DataError, match=r"cat/0\.png: expected at most the .* GB .*the picture scaled"):
        Dataset.from_folder(folder, size=6_000, resize="crop", test=0.25)


def test_what_is_not_there_or_not_said_is_told(folder, tmp_path):
    with pytest.raises(FileError, match="none: expected a folder of class folders"):
        Dataset.from_folder(tmp_path / "none", test=0.25)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="empty: expected PNG or JPEG files in class folders"):
        Dataset.from_folder(tmp_path / "empty", test=0.25)
    (folder / "eel").mkdir()
    with pytest.raises(FileError, match=r"eel: expected PNG or JPEG files of this class, or no such folder, got none"):
        Dataset.from_folder(folder, test=0.25)
    (folder / "eel").rmdir()
    with pytest.raises(DataError, match=r"pets: expected a share to test on .test = 0.2.*got pictures of no part"):
        Dataset.from_folder(folder)
    for options, said in (
        ({"resize": "crop"}, "size: expected the size to which"),
        ({"resize": "cut", "size": 4}, "resize: expected one of crop, stretch, pad"),
        ({"colour": "blue"}, "colour: expected one of gray, rgb"),
        ({"size": -1}, "size: expected a whole number"),
        ({"size": (1, 2, 3)}, r"size: expected a side, or .height, width."),
    ):
        with pytest.raises(ConfigError, match=said):
            Dataset.from_folder(folder, test=0.25, **options)


def test_a_folder_is_one_part_for_a_command_and_classes_may_be_known(folder):
    found = load_part("folder", folder, "test", classes=("ant", "cat", "dog"))
    assert (len(found), found.classes, sorted(set(found.labels.tolist()))) == (8, ("ant", "cat", "dog"), [1, 2])
    assert len(load_part("folder", folder, "test", limit=4)) == 4
    with pytest.raises(LabelError, match="expected one of the classes cat, cow"):
        load_part("folder", folder, "test", classes=("cat", "cow"))
    with pytest.raises(ConfigError, match=r"digits\.colour: expected nothing, as folder alone take it"):
        load_data("digits", colour="rgb")
