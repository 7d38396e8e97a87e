"""What a run keeps beside its optimizer, as a checkpoint stores it: sums of gradients, and weights that are averaged.

A checkpoint's model is the one to use. With an average that is the averaged one, and the weights that go on training
are a slot of the optimizer, "live"; gradients of batches that wait for an update are the slot "accumulated".
"""

from __future__ import annotations

from qpsnn_core.common.types import Arrays
from qpsnn_core.network.model import Model
from qpsnn_core.optim.optimizers import State

LIVE = "live"
ACCUMULATED = "accumulated"
OWN = (LIVE, ACCUMULATED)
"""Names of slots that no optimizer has."""


def to_slots(model: Model, optimizer: State, average: Arrays | None, accumulated: Arrays | None) -> tuple[Model, State]:
    """The model to use, and the optimizer's state with all that the run needs to go on."""
    slots = dict(optimizer.slots)
    if accumulated is not None:
        slots[ACCUMULATED] = accumulated
    if average is not None:
        slots[LIVE] = model.params
        model = Model(model.network, average, model.state)
    return model, State(optimizer.step, slots)


def from_slots(model: Model, optimizer: State) -> tuple[Model, State, Arrays | None, Arrays | None]:
    """The inverse: the model that is trained, the optimizer's own state, average and accumulated gradients or None."""
    slots = {name: arrays for name, arrays in optimizer.slots.items() if name not in OWN}
    average = None
    if LIVE in optimizer.slots:
        average = model.params
        model = Model(model.network, optimizer.slots[LIVE], model.state)
    return model, State(optimizer.step, slots), average, optimizer.slots.get(ACCUMULATED)
