"""Recordings of event cameras."""

from .recording import Recording

__all__ = ["Recording"]
