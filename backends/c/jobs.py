"""The base of C jobs that write one map: their name is the map's."""

from __future__ import annotations

from qpsnn_backends.c.counts import Counts
from qpsnn_core.common.types import Shape


class Giving:
    """A job that writes one map of counts, `gives`."""

    gives: Counts

    @property
    def name(self) -> str:
        """In C."""
        return self.gives.name

    @property
    def shape(self) -> Shape:
        """Of its spikes."""
        return self.gives.shape

    @property
    def given(self) -> tuple[Counts, ...]:
        """The maps that it writes."""
        return (self.gives,)
