"""Labelled images: readers of known sets, seeded batches, random changes."""

from .arrays import load_arrays, load_arrays_part
from .augment import Augment
from .autoaugment import autoaugment
from .batches import batch_count, batches, epoch_order
from .bytes import to_uint8
from .cifar import load_cifar10, load_cifar100
from .coding import encode
from .digits import load_digits
from .downloads import download
from .folders import load_imagenet
from .jpeg_h5 import load_jpeg_h5, load_jpeg_part
from .mixup import Mixed, mixed
from .mnist import load_mnist, read_idx
from .nda import nda
from .prefetch import prefetch
from .randaugment import randaugment
from .random_erasing import random_erasing
from .registry import NAMES, load_data, load_part
from .resized_crop import resized_crop
from .schema import Dataset, Split
from .sources import Source, source_of
from .tinyimagenet import load_tinyimagenet
from .transforms import cutout, random_crop, random_flip

__all__ = [
    "NAMES",
    "Augment",
    "Dataset",
    "Mixed",
    "Source",
    "Split",
    "autoaugment",
    "batch_count",
    "batches",
    "cutout",
    "download",
    "encode",
    "epoch_order",
    "load_arrays",
    "load_arrays_part",
    "load_cifar10",
    "load_cifar100",
    "load_data",
    "load_digits",
    "load_imagenet",
    "load_jpeg_h5",
    "load_jpeg_part",
    "load_mnist",
    "load_part",
    "load_tinyimagenet",
    "mixed",
    "nda",
    "prefetch",
    "randaugment",
    "random_crop",
    "random_erasing",
    "random_flip",
    "read_idx",
    "resized_crop",
    "source_of",
    "to_uint8",
]
