"""Write coco_figures.json: pycocotools' twelve figures, and digests of its curves, of drawn detections.

Not part of any test run: pycocotools is no dependency. With qpsnn and `pip install pycocotools==2.0.11`:
`python make_coco_figures.py FOLDER`, FOLDER holding ship_annotations.zip and bccd.zip. Only boxes and detections are
ours, drawn by `generators/detections.py`; pycocotools gets them as JSON, ids beginning with 1 (it takes a box of the
id 0 for none).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

sys.path.insert(0, str(Path(__file__).parents[1]))

from generators.detections import drawn_boxes, drawn_detections

from qpsnn_core.engine.detection import Detections
from qpsnn_datasets.detection.boxes import Boxes, BoxReport, gathered
from qpsnn_datasets.detection.coco import read_coco
from qpsnn_datasets.detection.voc import read_voc

AREAS = ("all", "small", "medium", "large")
MOST = (1, 10, 100)


def cases(folder: Path) -> dict[str, tuple[Boxes, int]]:
    """The boxes and the number of classes of each set."""
    found = {"drawn": (drawn_boxes(40, 3, 5), 3)}
    with zipfile.ZipFile(folder / "ship_annotations.zip") as archive:
        for name in ("ssdd", "vhr10"):
            classes, images = read_coco(archive.read(f"{name}_coco.json"), name)
            found[name] = gathered(images, classes, BoxReport()), len(classes)
    with zipfile.ZipFile(folder / "bccd.zip") as archive:
        names = archive.read("BCCD/ImageSets/Main/val.txt").decode().split()
        images = [(name, *read(archive.read(f"BCCD/Annotations/{name}.xml"), name)) for name in names]
        found["bccd"] = gathered(images, ("Platelets", "RBC", "WBC"), BoxReport()), 3
    return found


def read(data: bytes, name: str) -> tuple[int, int, list]:
    (height, width), boxes = read_voc(data, name)
    return height, width, boxes


def truth(boxes: Boxes, classes: int) -> COCO:
    """COCO's own form, as its constructor would read it of a file."""
    annotations = []
    for image in range(len(boxes)):
        for row in range(*boxes.of(image).indices(len(boxes.classes))):
            left, top, right, bottom = boxes.edges[row].tolist()
            annotations.append(
                {
                    "id": row + 1,
                    "image_id": image,
                    "category_id": int(boxes.classes[row]),
                    "bbox": [left, top, right - left, bottom - top],
                    "area": float(boxes.areas[row]),
                    "iscrowd": int(boxes.crowd[row]),
                }
            )
    found = COCO()
    found.dataset = {
        "images": [{"id": image} for image in range(len(boxes))],
        "annotations": annotations,
        "categories": [{"id": kind, "name": str(kind)} for kind in range(classes)],
    }
    found.createIndex()
    return found


def results(detections: Detections) -> list[dict]:
    found = []
    for image in range(len(detections)):
        for row in range(*detections.of(image).indices(len(detections.scores))):
            left, top, right, bottom = detections.boxes[row].astype(np.float64).tolist()
            box = [left, top, right - left, bottom - top]
            score = float(detections.scores[row])
            found.append({"image_id": image, "category_id": int(detections.classes[row]), "bbox": box, "score": score})
    return found


def digest(array: np.ndarray) -> str:
    """Of float64 in C order, -1 (no box) as it is."""
    return hashlib.sha256(np.ascontiguousarray(array, np.float64).tobytes()).hexdigest()


def main() -> None:
    record = {"pycocotools": importlib.metadata.version("pycocotools"), "sets": {}}
    for name, (boxes, classes) in cases(Path(sys.argv[1])).items():
        detections = drawn_detections(boxes, classes, 9)
        known = truth(boxes, classes)
        run = COCOeval(known, known.loadRes(results(detections)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
        precision, recall = run.eval["precision"], run.eval["recall"]  # [T, R, K, A, M], [T, K, A, M]
        curves = {}
        for area, place in (*((one, MOST.index(100)) for one in AREAS), ("all", 0), ("all", 1)):
            at = AREAS.index(area)
            key = f"{area} {MOST[place]}"
            curves[key] = [digest(precision[:, :, :, at, place]), digest(recall[:, :, at, place])]
        record["sets"][name] = {"figures": run.stats.tolist(), "curves": curves}
    path = Path(__file__).with_name("coco_figures.json")
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
