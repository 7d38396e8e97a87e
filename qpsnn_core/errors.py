"""The public path of the errors; they are in `common/errors.py`."""

from qpsnn_core.common.errors import *  # noqa: F403 - all of them, by their public path
