"""Types of arrays that all rooms share."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

Arrays = dict[str, dict[str, Floats]]
"""Arrays of each node, by node name and array name."""
