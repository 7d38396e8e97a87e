"""Recordings of event cameras."""

from .arrays import from_structured, read_npy
from .drops import drop_area, drop_events, drop_time, event_drop
from .filters import (
    crop_space,
    crop_time,
    denoise,
    downsample,
    flip,
    flip_polarity,
    merge_polarity,
    refractory,
)
from .frames import frames_by_count, frames_by_time, frames_in_bins, to_dataset
from .recording import Recording
from .saccades import Camera, saccade

__all__ = [
    "Camera",
    "Recording",
    "crop_space",
    "crop_time",
    "denoise",
    "downsample",
    "drop_area",
    "drop_events",
    "drop_time",
    "event_drop",
    "flip",
    "flip_polarity",
    "frames_by_count",
    "frames_by_time",
    "frames_in_bins",
    "from_structured",
    "merge_polarity",
    "read_npy",
    "refractory",
    "saccade",
    "to_dataset",
]
