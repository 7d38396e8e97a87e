"""The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn: no download."""

from __future__ import annotations

import numpy as np

from qpsnn_core.common.errors import DataError, Unquoted, expected
from qpsnn_core.common.install import install_command

from .schema import Dataset, Split

CLASSES = tuple("0123456789")
TEST_IMAGES = 360
SPLIT_SEED = 0


def load_digits(*, limit: int | None = None) -> Split:
    """1,437 training and 360 test images, uint8 `[N, 8, 8, 1]`, stratified; the same ones on every machine.

    The original 0..16 becomes 0..255, rounded to nearest.
    limit: at most so many images of each part, each class in its proportion, always the same ones.
    Raises DataError when scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as sklearn_digits
    except ImportError as error:
        want = f"scikit-learn, which holds the images ({install_command('data')})"
        raise DataError(expected("digits", want, Unquoted(f"no such package ({error})"))) from error
    source = sklearn_digits()
    sixteenths = np.asarray(source.images, dtype=np.int64)
    images = ((sixteenths * 255 + 8) // 16).astype(np.uint8)[..., np.newaxis]
    whole = Dataset(images, np.asarray(source.target, dtype=np.int64), CLASSES, "digits")
    train, test = whole.hold_out(TEST_IMAGES, SPLIT_SEED)
    return Split(train.limited(limit), test.limited(limit))
