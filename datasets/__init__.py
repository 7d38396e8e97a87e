"""Labelled images: readers of known sets, seeded batches, random changes."""

from .ahead import prefetch
from .batches import batch_count, batches, epoch_order
from .cifar10 import load_cifar10
from .digits import load_digits
from .jpeg_h5 import load_jpeg_h5
from .mnist import load_mnist, read_idx
from .registry import NAMES, load_data
from .schema import Dataset, Split, to_uint8
from .transforms import Augment, cutout, random_crop, random_flip

__all__ = [
    "NAMES",
    "Augment",
    "Dataset",
    "Split",
    "batch_count",
    "batches",
    "cutout",
    "epoch_order",
    "load_cifar10",
    "load_data",
    "load_digits",
    "load_jpeg_h5",
    "load_mnist",
    "prefetch",
    "random_crop",
    "random_flip",
    "read_idx",
    "to_uint8",
]
