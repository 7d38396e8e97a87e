"""Recordings of event cameras: readers, a store, filters, frames, and a camera for still images."""

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
    resize,
)
from .frames import frames_by_count, frames_by_time, frames_in_bins, to_dataset
from .guess import NAMES
from .importing import Imported, Recordings, import_events, read_events
from .loading import load_event_frames
from .raw import REPAIRS
from .recording import Recording
from .saccades import Camera, saccade
from .store import EventStore, load_events
from .writer import SPLITS, EventWriter, event_writer

__all__ = [
    "NAMES",
    "REPAIRS",
    "SPLITS",
    "Camera",
    "EventStore",
    "EventWriter",
    "Imported",
    "Recording",
    "Recordings",
    "crop_space",
    "crop_time",
    "denoise",
    "downsample",
    "drop_area",
    "drop_events",
    "drop_time",
    "event_drop",
    "event_writer",
    "flip",
    "flip_polarity",
    "frames_by_count",
    "frames_by_time",
    "frames_in_bins",
    "import_events",
    "load_event_frames",
    "load_events",
    "merge_polarity",
    "read_events",
    "refractory",
    "resize",
    "saccade",
    "to_dataset",
]
