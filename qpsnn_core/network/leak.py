"""The leak of a neuron, said as `beta` or as the time constant `tau`; only beta is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qpsnn_core.common.errors import ConfigError, UnsupportedError, expected
from qpsnn_core.common.validation import check_number


class Unsaid(float):
    """A default, to be told from the same number where a caller gives it."""


def check_one_leak(nodes: Iterable[Any], who: str) -> None:
    """UnsupportedError where the channels of a layer have learned leaks of their own. who: has one for a layer."""
    for node in nodes:
        if "leak" in getattr(node, "learn", ()) and node.learn_per == "channel":
            want = f'"layer", where the leak is learned: {who} has one leak for a layer'
            raise UnsupportedError(expected(f"{node.name}.learn_per", want, node.learn_per))


BETA = Unsaid(0.5)
"""The leak where neither `beta` nor `tau` is given."""


def leak_of(place: str, beta: float, tau: float | None) -> float:
    """beta; of a time constant in steps, `1 - 1/tau`, by which the current is not divided.

    The convention of PLIF (Fang et al., ICCV 2021) and of SpikingJelly without `decay_input`.
    Raises ConfigError: `place.tau` is given beside beta, or is no number of at least 1.
    """
    if tau is None:
        return float(beta) if isinstance(beta, Unsaid) else beta
    if not isinstance(beta, Unsaid):
        raise ConfigError(expected(f"{place}.tau", f"beta or tau, not both (beta is {beta!r})", tau))
    check_number(f"{place}.tau", tau, "a number of steps, at least 1", lambda steps: steps >= 1)
    return 1 - 1 / tau
