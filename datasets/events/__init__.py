"""Recordings of event cameras: readers of the files that people have, and a store of our own."""

from .guess import NAMES
from .importing import Imported, import_events, read_events
from .raw import REPAIRS
from .recording import Recording
from .store import EventStore, load_events
from .writer import SPLITS, EventWriter, event_writer

__all__ = [
    "NAMES",
    "REPAIRS",
    "SPLITS",
    "EventStore",
    "EventWriter",
    "Imported",
    "Recording",
    "event_writer",
    "import_events",
    "load_events",
    "read_events",
]
