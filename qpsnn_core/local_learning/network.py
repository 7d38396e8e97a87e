"""The unsupervised network as data: hyper-parameters only, their equations in the docstrings."""

from __future__ import annotations

from dataclasses import dataclass, field

from qpsnn_core.common.errors import ConfigError, expected
from qpsnn_core.common.serialization import ADDED_LATER
from qpsnn_core.common.validation import check, check_kinds, choices, least, positive, typed

FORMS = ("single", "three")
CODES = ("intervals", "bernoulli")


@dataclass(frozen=True)
class SpikeTrains:
    """A pixel p (0 to 255) as a train of `p/255 * intensity` spikes a second, for `steps` steps.

    code "intervals": intervals between spikes are Poisson numbers of steps, 0 counted as 1 (BindsNET). "bernoulli":
    each step spikes by chance `rate*dt/1000`. least: a sample in which neurons spike less often is shown again,
    `times` times at most, by `brighter` spikes a second brighter each (of networks with conductances).
    """

    code: str = "intervals"
    intensity: float = 128.0
    steps: int = 250
    least: int = field(default=0, metadata=ADDED_LATER)
    brighter: float = field(default=0.0, metadata=ADDED_LATER)
    times: int = field(default=1, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        typed(self)
        choices(self, code=CODES)
        positive(self, "intensity")
        least(self, steps=1, least=0, times=1)
        check(self, "brighter", self.brighter >= 0, "a number of at least 0")
        check(self, "times", self.times == 1 or self.least > 0, "1 where least is 0: nothing is shown again")


@dataclass(frozen=True)
class AdaptiveLIF:
    """`V = exp(-dt/tau)*(V - rest) + rest + I; spike at V >= threshold + theta; then V = reset, theta += increment`.

    Potentials in mV, times in ms. `theta` decays by `exp(-dt/theta_tau)` a step while the network learns; theta_tau
    None: it does not. While refractory (`refractory` steps after a crossing) a membrane leaks and integrates nothing.
    theta: where it begins.
    """

    rest: float = -65.0
    reset: float = -65.0
    threshold: float = -52.0
    tau: float = 100.0
    refractory: int = 5
    increment: float = 0.05
    theta_tau: float | None = 1e7
    theta: float = field(default=0.0, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        typed(self)
        positive(self, "tau")
        least(self, refractory=0)
        check(self, "increment", self.increment >= 0, "a number of at least 0")
        if self.theta_tau is not None:
            positive(self, "theta_tau")
        raised = self.threshold + self.theta > self.rest
        check(self, "threshold", raised, "a number above rest, with theta" if self.theta else "a number above rest")


@dataclass(frozen=True)
class InhibitoryLIF:
    """A neuron of the inhibitory layer: a spike of its excitatory partner adds `excitation`."""

    rest: float = -60.0
    reset: float = -45.0
    threshold: float = -40.0
    tau: float = 10.0
    refractory: int = 2
    excitation: float = 22.5

    def __post_init__(self) -> None:
        typed(self)
        positive(self, "tau")
        least(self, refractory=0)


@dataclass(frozen=True)
class STDP:
    """Eq. 1: `dw = -pre*x_post*(w - low)**mu` at a presynaptic spike, `post*x_pre*(high - w)**mu` at a postsynaptic.

    pre, post: the rates, named by the spike at which they apply. Traces x are 1 at a spike and decay by
    `exp(-dt/tau)`. mu: a multiple of 1/4 (products and square roots give the same bits on every processor); 0 is plain
    pair STDP. total: the sum to which each neuron's weights are scaled after a sample in which it spiked; None: not.
    slow: ms, of triplet STDP: what a postsynaptic spike adds is also times a trace of the neuron's spike before, which
    decays by `exp(-dt/slow)`; None: it is not.
    """

    pre: float = 1e-4
    post: float = 1e-2
    mu: float = 1.0
    tau: float = 20.0
    low: float = 0.0
    high: float = 1.0
    total: float | None = 78.4
    slow: float | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        typed(self)
        if self.slow is not None:
            positive(self, "slow")
        for name in ("pre", "post"):
            check(self, name, 0 <= getattr(self, name) < 1, "a number in [0, 1)")
        check(self, "mu", 0 <= self.mu <= 8 and float(4 * self.mu).is_integer(), "a multiple of 0.25 from 0 to 8")
        positive(self, "tau")
        check(self, "low", self.low >= 0, "a number of at least 0")
        check(self, "high", self.high > self.low, "a number above low")
        if self.total is not None:
            positive(self, "total")


@dataclass(frozen=True)
class Conductances:
    """`V += dt/tau*((rest - V) + ge*(excitatory - V) + gi*(inhibitory - V))`: the original's synapses.

    Weights of inputs that spike add to ge, `DiehlCook.inhibition` to gi of all neurons but the partner, and
    `InhibitoryLIF.excitation` to ge of the inhibitory partner, whose inhibitory potential is `relayed`. ge and gi lose
    `dt/tau_excitatory` and `dt/tau_inhibitory` of themselves in a step. Potentials in mV, times in ms. A refractory
    neuron stays at its reset. All neurons that cross spike; STDP is the triplets'.
    """

    excitatory: float = 0.0
    inhibitory: float = -100.0
    relayed: float = -85.0
    tau_excitatory: float = 1.0
    tau_inhibitory: float = 2.0

    def __post_init__(self) -> None:
        typed(self)
        positive(self, "tau_excitatory", "tau_inhibitory")
        check(self, "inhibitory", self.inhibitory < self.excitatory, "a number below excitatory")
        check(self, "relayed", self.relayed < self.excitatory, "a number below excitatory")


@dataclass(frozen=True)
class DiehlCook:
    """Inputs, fully connected to neurons that inhibit each other (Diehl & Cook 2015; Q-SpiNN, Fig. 1a).

    form "single": a spike takes `inhibition` mV from all other neurons (Fig. 1a). "three": it excites its partner in
    an inhibitory layer, whose spike does. Of the neurons that cross their thresholds in a step, one, drawn by chance,
    spikes. dt: ms a step. conductances: of the original network, which has three layers; None: spikes move membranes.
    """

    inputs: int
    neurons: int
    form: str
    inhibition: float
    neuron: AdaptiveLIF = field(default_factory=AdaptiveLIF)
    inhibitory: InhibitoryLIF | None = None
    trains: SpikeTrains = field(default_factory=SpikeTrains)
    rule: STDP = field(default_factory=STDP)
    dt: float = 1.0
    conductances: Conductances | None = field(default=None, metadata=ADDED_LATER)

    def __post_init__(self) -> None:
        typed(self)
        check_kinds("DiehlCook", AdaptiveLIF, neuron=self.neuron)
        check_kinds("DiehlCook", Conductances, conductances=self.conductances)
        check_kinds("DiehlCook", InhibitoryLIF, inhibitory=self.inhibitory)
        check_kinds("DiehlCook", SpikeTrains, trains=self.trains)
        check_kinds("DiehlCook", STDP, rule=self.rule)
        choices(self, form=FORMS)
        least(self, inputs=1, neurons=1)
        positive(self, "dt")
        check(self, "inhibition", self.inhibition >= 0, "a number of at least 0: how much a spike takes")
        if (self.form == "three") != (self.inhibitory is not None):
            want = "an InhibitoryLIF for the form 'three', None for 'single'"
            raise ConfigError(expected("DiehlCook.inhibitory", want, self.inhibitory))
        self._check_original()
        if self.inputs * self.neurons >= 2**31:
            raise ConfigError(expected("DiehlCook.neurons", "fewer than 2**31 synapses", self.inputs * self.neurons))
        most = self.inputs * self.rule.high
        if self.rule.total is not None and self.rule.total > most:
            raise ConfigError(
                expected("STDP.total", f"at most {most:g}, {self.inputs} inputs of STDP.high", self.rule.total)
            )
        rate = self.trains.intensity * self.dt / 1000
        if self.trains.code == "bernoulli" and rate > 1:
            want = "at most 1000 spikes a second and ms of dt for the code 'bernoulli'"
            raise ConfigError(expected("SpikeTrains.intensity", want, self.trains.intensity))

    def _check_original(self) -> None:
        """What only networks with conductances have, and what these must have."""
        g = self.conductances
        if g is None:
            if self.rule.slow is not None:
                raise ConfigError(expected("STDP.slow", "None without DiehlCook.conductances", self.rule.slow))
            if self.trains.least:
                raise ConfigError(expected("SpikeTrains.least", "0 without DiehlCook.conductances", self.trains.least))
            return
        if self.form != "three":
            raise ConfigError(expected("DiehlCook.form", "'three' with conductances", self.form))
        if self.rule.slow is None:
            raise ConfigError(
                expected("STDP.slow", "ms with DiehlCook.conductances: their STDP is the triplets'", None)
            )
        shortest = min(g.tau_excitatory, g.tau_inhibitory)
        if self.dt > shortest:
            raise ConfigError(expected("DiehlCook.dt", f"at most {shortest:g} ms, as conductances decay", self.dt))
