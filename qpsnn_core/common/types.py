"""Types of arrays and shapes that all rooms share."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

Shape = tuple[int, int, int]
"""(H, W, C)."""

Pair = int | tuple[int, int]
"""A number of pixels for both axes, or (rows, columns)."""

NamedArrays = dict[str, Array]
"""Arrays of one node, by array name."""

NamedFloats = dict[str, Floats]
"""Likewise, all float32."""

Arrays = dict[str, NamedFloats]
"""Arrays of each node, by node name and array name."""
