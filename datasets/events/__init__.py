"""Recordings of event cameras."""

from .raw import REPAIRS
from .recording import Recording
from .store import EventStore, load_events
from .writer import SPLITS, EventWriter, event_writer

__all__ = ["REPAIRS", "SPLITS", "EventStore", "EventWriter", "Recording", "event_writer", "load_events"]
