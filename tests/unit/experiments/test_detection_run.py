"""A recipe for a set with boxes, from training to the exact simulator; and what its table [data] cannot say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("PIL")
from generators.detection_files import voc

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError, FormatError
from qpsnn_core.experiments.data_choice import DataChoice
from qpsnn_core.experiments.stages import augmentation
from qpsnn_core.recipes.data import DataConfig
from qpsnn_core.recipes.recipe import recipe_from_dict
from qpsnn_datasets.detection import DetectionAugment, DetectionDataset


@pytest.fixture
def config(tmp_path):
    """Twelve pictures with boxes of six shapes."""
    rng = np.random.default_rng(0)
    images = {}
    for k in range(12):
        x, y = rng.integers(1, 12, 2)
        images[f"a{k}"] = [("cat", x, y, x + 8 + k, y + 6 + k % 5), ("ant", 2, 3, 8, 9 + k % 3)]
    names = list(images)
    path = voc(tmp_path / "set", images, {"train": names[:8], "test": names[8:]})
    return DataConfig("voc", str(path), size=(32, 48), anchors=6)


def test_the_table_of_data(config):
    assert augmentation(config) == DetectionAugment()
    changed = replace(config, flip=True, mosaic=0.5, zoom=0.2, shift=0.1, hue=0.01, saturation=0.3, brightness=0.4)
    assert augmentation(changed) == DetectionAugment(0.5, 0.2, 0.1, 0.5, 0.01, 0.3, 0.4)
    with pytest.raises(ConfigError, match=r"data\.crop: expected 0, as voc has boxes, got 4"):
        augmentation(replace(config, crop=4))
    with pytest.raises(ConfigError, match=r"data\.mosaic: expected 0\.0, as digits has no boxes, got 0\.5"):
        augmentation(DataConfig("digits", mosaic=0.5))
    train = DataChoice(config).split().train
    assert isinstance(train, DetectionDataset)
    assert train.images.shape == (8, 32, 48, 3)
    assert len(train.anchors) == 6
    assert train.origin["anchors"] == 6
    part = DataChoice(config).part("test", 2)
    assert (len(part), part.anchors) == (2, train.anchors)
    with pytest.raises(ConfigError, match=r"digits\.anchors: expected nothing, as voc, coco, .* alone take it, got 6"):
        qp.load_data("digits", anchors=6)
    with pytest.raises(ConfigError, match="size: expected a whole number of at least 1, got 0"):
        qp.load_data("voc", config.path)
    with pytest.raises(FormatError, match="expected a JSON file of COCO, got none"):
        qp.load_data("coco", config.path, size=8)


@pytest.mark.slow
def test_a_whole_recipe(config, tmp_path):
    recipe = recipe_from_dict(
        {
            "network": {"function": "qpsnn_core.network.zoo.detector:detector_small", "steps": 1},
            "data": {"name": "voc", "path": config.path, "size": [32, 48], "anchors": 6, "mosaic": 0.5},
            "train": {"loss": "boxes", "epochs": 1, "batch": 4, "optimizer": "adam", "lr": 0.001},
            "prune": {"rates": 0.2, "batches": 1, "batch": 4},
            "lower": {},
            "simulate": {"images": 2, "backends": ["exact"]},
        }
    )
    report = qp.run(recipe, tmp_path / "run")
    assert [row.name for row in report.rows] == ["trained", "pruned", "integer", "Exact"]
    for row in report.rows:
        assert row.accuracy is None
        assert next(iter(row.figures)) == "coco mAP@0.5:0.95"
        assert all(0 <= figure <= 1 for figure in row.figures.values())
    assert report.agrees
    again = qp.run(recipe, tmp_path / "run")
    assert again.rows == report.rows
    other = replace(recipe, data=replace(recipe.data, mosaic=0.25))
    with pytest.raises(ConfigError, match=r"data\.mosaic: expected 0\.5, as the run in it began, got 0\.25"):
        qp.run(other, tmp_path / "run")
