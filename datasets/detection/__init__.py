"""Images and recordings with boxes: readers, letterboxes, seeded changes and batches."""

from .augment import YOLO, DetectionAugment
from .batches import DetectionBatch, detection_batches
from .boxes import Boxes, BoxReport
from .drawing import draw_boxes, save_picture
from .gen1 import load_gen1
from .letterbox import Letterboxes
from .loading import FORMATS, load_detection
from .schema import DetectionDataset, with_boxes

__all__ = [
    "FORMATS",
    "YOLO",
    "BoxReport",
    "Boxes",
    "DetectionAugment",
    "DetectionBatch",
    "DetectionDataset",
    "Letterboxes",
    "detection_batches",
    "draw_boxes",
    "load_detection",
    "load_gen1",
    "save_picture",
    "with_boxes",
]
