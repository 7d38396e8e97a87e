"""A detector is trained, goes on bit for bit, is lowered, and finds the same boxes on every backend."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, DataError, ShapeError
from qpsnn_core.engine.detector_head import head_of, levels_of
from qpsnn_core.inference.agreement import agreement
from qpsnn_core.inference.boxes import find_boxes, texts_of
from qpsnn_core.network.zoo.detector import detector_small
from qpsnn_core.optim.detection_losses import DetectionGains
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.setup import run_setup
from qpsnn_core.training.train import train
from qpsnn_datasets import Augment, Split
from qpsnn_datasets.detection import Boxes, DetectionAugment, Letterboxes, with_boxes

SIDE, STEPS = 32, 2
CONFIG = TrainConfig(epochs=2, batch=4, optimizer="adam", lr=0.01, loss="boxes", seed=3)
AUGMENT = DetectionAugment(mosaic=0.5, flip=0.5, scale=0.2)


def squares(count, seed, **options):
    """A bright or a dark square in each image of grey noise, 48 x 48 pixels as it was."""
    rng = np.random.default_rng(seed)
    images = rng.integers(100, 140, (count, SIDE, SIDE, 3), dtype=np.uint8)
    corner, side, kinds = rng.integers(2, 16, (count, 2)), rng.integers(8, 14, count), rng.integers(0, 2, count)
    edges = np.concatenate([corner, corner + side[:, np.newaxis]], axis=1).astype(np.float64)
    for image, (x, y, right, bottom), kind in zip(images, edges.astype(int), kinds, strict=True):
        image[y:bottom, x:right] = 255 * kind
    flags = np.zeros(count, np.bool_)
    boxes = Boxes(edges * 1.5, kinds, np.arange(count + 1), flags, flags, (1.5 * side) ** 2.0)
    letterboxes = Letterboxes(np.full((count, 2), 48), np.tile([0, 0, SIDE, SIDE], (count, 1)))
    anchors = options.pop("anchors", ((8.0, 8.0), (12.0, 12.0)))
    return with_boxes(images, boxes, letterboxes, ("dark", "bright"), name=f"squares{seed}", anchors=anchors, **options)


def labelled():
    return qp.Dataset(np.full((4, SIDE, SIDE, 3), 9, np.uint8), np.zeros(4, np.int64), ("a", "b"), "labels")


def test_gains_weigh_the_parts_of_the_loss(network, data):
    """As the published ones, scaled: of two maps, two classes, 32 pixels."""
    setup = run_setup(
        "train", network, data, TrainConfig(**{**vars(CONFIG), "objectness_gain": 4.0}), None, None, None, None, ()
    )
    assert setup.job.gains == DetectionGains(0.05 * 1.5, 4.0 * 1.5 * (32 / 640) ** 2, 0.5 * 1.5 * 2 / 80)


@pytest.fixture(scope="module")
def data():
    return Split(squares(12, 0), squares(4, 1))


@pytest.fixture(scope="module")
def network():
    return detector_small((SIDE, SIDE, 3), 2, steps=STEPS, width=0.25, anchors=1)


@pytest.fixture(scope="module")
def trained(data, network, tmp_path_factory):
    """Three epochs; after the first a copy of the checkpoint is kept."""
    place = tmp_path_factory.mktemp("detector")
    whole = place / "whole.h5"
    done = train(network, data, CONFIG, augment=AUGMENT, checkpoint=whole)
    return done, place


def test_the_loss_falls_and_every_convention_is_measured(trained):
    done, _ = trained
    losses = [epoch.loss for epoch in done.history]
    assert losses[-1] < losses[0]
    for epoch in done.history:
        assert epoch.accuracy is None
        assert epoch.validation == epoch.figures["coco mAP@0.5:0.95"]
        assert list(epoch.figures) == [
            *("coco mAP@0.5:0.95", "coco mAP@0.5", "voc mAP@0.5", "yolo mAP@0.5:0.95", "yolo mAP@0.5")
        ]
    told = done.checkpoint.data
    assert (told.task, told.anchors, told.decode) == ("detection", ((8.0, 8.0), (12.0, 12.0)), "v5")


def test_a_run_goes_on_bit_for_bit(trained, data, network, tmp_path):
    done, _ = trained
    path = tmp_path / "part.h5"
    short = TrainConfig(**{**vars(CONFIG), "epochs": 1, "schedule": "constant"})
    train(network, data, short, augment=AUGMENT, checkpoint=path)
    longer = TrainConfig(**{**vars(short), "epochs": 2})
    resumed = train(network, data, longer, augment=AUGMENT, checkpoint=path, resume=True)
    ref = train(network, data, longer, augment=AUGMENT)
    for name, own in ref.model.params.items():
        for key, array in own.items():
            np.testing.assert_array_equal(resumed.model.params[name][key], array)
    assert [one.figures for one in resumed.history] == [one.figures for one in ref.history]
    assert qp.load_checkpoint(path).history[1].figures == ref.history[1].figures
    other = Split(squares(12, 0, anchors=((8.0, 8.0), (13.0, 12.0))), data.test)
    with pytest.raises(ConfigError, match="data: expected"):
        train(network, other, longer, augment=AUGMENT, checkpoint=path, resume=True)
    assert len(done.history) == 2


def test_its_maps_begin_with_few_boxes(network, data):
    begun = train(network, data, TrainConfig(**{**vars(CONFIG), "epochs": 1, "lr": 1e-12})).model
    head = head_of(network, data.train)
    assert head.strides == (8, 16)
    assert head.anchors == (((8.0, 8.0),), ((12.0, 12.0),))
    for name, bias in zip(("p3.conv", "p4.conv"), head.start_bias(SIDE), strict=True):
        np.testing.assert_allclose(begun.params[name]["bias"], bias, atol=1e-6)
    assert levels_of(network) == ("p3", "p4")


@pytest.mark.slow
def test_the_same_boxes_as_integers_on_every_backend(trained, data):
    done, _ = trained
    measured = qp.evaluate(done.model, data)
    assert measured.figures == done.history[-1].figures
    assert 0 < measured.firing_rate < 1
    integers = qp.lower(done.model).network
    exact = qp.evaluate(integers, data)
    assert len(exact.detections) == len(data.test)
    assert exact.loss == pytest.approx(measured.loss, rel=0.05)
    figures, on_c = agreement(integers, data.test, "c")
    assert (figures.spike_mismatches, figures.readout_mismatches) == (0, 0)
    assert on_c.figures == exact.figures
    for name in ("boxes", "scores", "classes", "offsets"):
        np.testing.assert_array_equal(getattr(on_c.detections, name), getattr(exact.detections, name))


def test_pruned_and_tuned_it_is_a_detector_still(trained, data):
    done, _ = trained
    scores = qp.score(done.model, data.train, batches=1, batch=4)
    pruned = qp.prune(done.model, scores, 0.3).model
    tuned = qp.finetune(pruned, data, qp.FinetuneConfig(epochs=1, batch=4, loss="boxes"))
    assert qp.evaluate(tuned.model, data).figures == tuned.history[-1].figures
    assert tuned.model.params["p3.conv"]["weight"].shape[-1] == 7


def test_boxes_of_pictures(trained, data, monkeypatch):
    done, _ = trained
    integers = qp.lower(done.model).network
    told, images = done.checkpoint.data, data.test.images
    exact = find_boxes(integers, images, data.test.letterboxes, told)
    ours = find_boxes(done.model, images, data.test.letterboxes, told)
    assert exact[1:] == ours[1:] == (0, 0)
    assert len(exact.detections) == 4
    texts = texts_of(exact.detections, 0, told.classes)
    assert len(texts) == len(exact.detections.scores[exact.detections.of(0)])


@pytest.mark.slow
def test_the_command_draws_them(trained, data, qpsnn, tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("typer")
    done, place = trained
    qp.save_integer(tmp_path / "network.h5", qp.lower(done.model).network)
    image.fromarray(data.test.images[0]).resize((64, 40)).save(tmp_path / "one.png")
    command = ("predict", tmp_path / "network.h5", tmp_path / "one.png", "--boxes", tmp_path / "drawn")
    status, _, error = qpsnn(*command)
    assert status != 0
    assert "--trained" in error
    status, out, error = qpsnn(*command, "--trained", place / "whole.h5", "--backend", "c", "--json")
    assert status == 0, error
    found = json.loads(out)
    assert (found["spike_mismatches"], found["readout_mismatches"]) == (0, 0)
    with image.open(tmp_path / "drawn" / "one.png") as file:
        assert file.size == (64, 40)
    for box in found["boxes"]:
        assert 0 <= box["left"] < box["right"] <= 64
        assert 0 <= box["top"] < box["bottom"] <= 40


def test_what_is_refused(network, data):
    def refused(error, match, data=data, config=None, **options):
        with pytest.raises(error, match=match):
            train(network, data, TrainConfig(**{**vars(CONFIG), **(config or {})}), **options)

    refused(
        ConfigError, "train.loss: expected 'boxes', as squares0 is for detection, got 'mean'", config={"loss": "mean"}
    )
    with pytest.raises(ConfigError, match=r"train\.box_gain: expected 0\.05, as labels has no boxes, got 1\.0"):
        train(qp.build("mlp", (SIDE, SIDE, 3), 2), labelled(), TrainConfig(batch=2, box_gain=1.0))
    refused(ConfigError, "train.mixup: expected 0.0, as squares0 is for detection, got 0.5", config={"mixup": 0.5})
    refused(ConfigError, "train.loss: expected none, as squares0", loss=lambda logits, labels: (0.0, logits))
    refused(ConfigError, "train.augment: expected a DetectionAugment", augment=Augment(flip=True))
    refused(
        DataError, r"squares0\.anchors: expected anchors, which load_data", Split(squares(12, 0, anchors=()), data.test)
    )
    three = Split(squares(12, 0, anchors=((8, 8),) * 3), data.test)
    refused(ShapeError, "squares0: number of anchors: expected 2, as the readouts p3, p4 have, got 3", three)
    other = detector_small((SIDE, SIDE, 3), 3, steps=STEPS, width=0.25, anchors=1)
    with pytest.raises(ShapeError, match=r"network: p3: expected A\*\(5 \+ 2\) channels"):
        train(other, data, CONFIG)
    with pytest.raises(ConfigError, match=r"train\.augment: expected an Augment, as labels has no boxes"):
        train(qp.build("mlp", (SIDE, SIDE, 3), 2), labelled(), TrainConfig(batch=2), augment=AUGMENT)
