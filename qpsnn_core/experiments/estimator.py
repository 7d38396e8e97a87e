"""A spiking network as an estimator of scikit-learn: `fit`, `predict`, `predict_proba`, `score`, `GridSearchCV`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from qpsnn_core.common.errors import ArgumentError, DataError, Unquoted, expected
from qpsnn_core.common.input_range import UNSIGNED, InputRange
from qpsnn_core.common.install import missing_extra
from qpsnn_core.common.types import Array, Images, Shape
from qpsnn_core.common.validation import check_kind, described
from qpsnn_core.inference.predict import predict
from qpsnn_core.integer.lowering.lower import lower
from qpsnn_core.network.builder import quantizer_of
from qpsnn_core.network.graph import Network
from qpsnn_core.network.zoo.vgg import build
from qpsnn_core.recipes.training import TrainConfig
from qpsnn_core.training.train import train
from qpsnn_datasets import Dataset
from qpsnn_datasets.given_shapes import shaped

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as missing:
    MISSING = missing

    class ClassifierMixin:  # type: ignore[no-redef]  # stands in for the base, so that help() works without it
        """What is missing without scikit-learn."""

    class BaseEstimator:  # type: ignore[no-redef]  # likewise
        """Refuses to be made."""

        def __new__(cls, *_: Any, **__: Any) -> Any:
            """DataError, with the command that installs scikit-learn."""
            what = "scikit-learn 1.6 or newer, whose estimator it is"
            raise missing_extra("SpikingClassifier", what, "data", MISSING) from MISSING


SHARES = InputRange(*UNSIGNED, 1 / UNSIGNED[1])
"""What a byte stands for: shares from 0 to 1 of the range of a column, or of all images."""


class SpikingClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A classifier of tables, images, frames and series, for pipelines and searches of scikit-learn.

    X: shapes as `Dataset.from_arrays` takes them: [N, D], [N, H, W], [N, H, W, C], frames [N, T, H, W, C], and series
    [N, L] or [N, L, D]. channels, series: as there. network: of the zoo, a Network, or a function `(shape, classes) ->
    Network`, shape being (H, W, C), and (1, 1, D) of a table. steps: T, as many as there are frames, and bits: of the
    weights (2 to 8, or 32), of a network of the zoo. epochs, batch (at most as many as there are samples), optimizer,
    lr, weight_decay: as of TrainConfig. integers: whether the answers are those of the deployed integer network.
    random_state: the seed.

    uint8 is taken as it is: intensities, or in frames counts of events. Other numbers become integers 0..255 between
    the smallest and the largest that `fit` saw: of a column of a table, else over all of them; what lies outside is cut
    off. A network takes no other numbers, so this is part of what is deployed. Fitted attributes: `classes_`, `model_`,
    `history_`, `integers_` (the integer network, where it was asked for), `low_` and `high_` (None of uint8).
    Raises what `train` raises; scikit-learn's own errors for input that is no table of finite numbers.
    """

    def __init__(
        self,
        network: str | Network | Callable[[Shape, int], Network] = "mlp",
        *,
        steps: int = 4,
        bits: int = 4,
        epochs: int = 30,
        batch: int = 32,
        optimizer: str = "adam",
        lr: float = 0.01,
        weight_decay: float = 0.0,
        integers: bool = False,
        channels: str = "",
        series: str = "",
        random_state: Any = 0,
    ) -> None:
        self.network = network
        self.steps = steps
        self.bits = bits
        self.epochs = epochs
        self.batch = batch
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.integers = integers
        self.channels = channels
        self.series = series
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> SpikingClassifier:
        """Train from fresh weights. y: [N], integers or words."""
        check_kind("SpikingClassifier.integers", self.integers, bool)
        X, y = validate_data(self, X, y, allow_nd=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self.low_, self.high_ = _range(X, self.series)
        images = self._images(X)
        scale = SHARES.scale if images.ndim == 5 and self.low_ is not None else None
        data = Dataset(images, labels.astype(np.int64), tuple(map(str, self.classes_)), "X", scale)
        config = TrainConfig(
            epochs=self.epochs,
            batch=min(self.batch, len(data)),
            optimizer=self.optimizer,
            lr=self.lr,
            weight_decay=self.weight_decay,
            seed=self._seed(),
        )
        trained = train(self._network(data), data, config)
        self.model_, self.history_ = trained.model, trained.history
        self.integers_ = lower(trained.model).network if self.integers else None
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, float64 [N, K], in the order of `classes_`."""
        found: Array = self._answers(X).probabilities
        return found

    def predict(self, X: Any) -> Array:
        """The class of each sample, [N]."""
        labels = self._answers(X).labels
        found: Array = self.classes_[labels]
        return found

    def _answers(self, X: Any) -> Any:
        check_is_fitted(self)
        X = validate_data(self, X, allow_nd=True, reset=False)
        return predict(self.integers_ or self.model_, self._images(X))

    def _network(self, data: Dataset) -> Network:
        shape, classes = data.image_shape, len(data.classes)
        if isinstance(self.network, str):
            bits = quantizer_of("SpikingClassifier.bits", self.bits)
            events = data.images.ndim == 5 and data.scale is None
            return build(self.network, shape, classes, steps=self.steps, quantizer=bits, events=events)
        if isinstance(self.network, Network):
            return self.network
        if not callable(self.network):
            want = "a name of the zoo, a Network, or a function (shape, classes) -> Network"
            raise ArgumentError(expected("SpikingClassifier.network", want, Unquoted(described(self.network))))
        made = self.network(shape, classes)
        check_kind("SpikingClassifier.network(shape, classes)", made, Network)
        return made

    def _seed(self) -> int:
        if isinstance(self.random_state, int):
            return self.random_state
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _images(self, X: Array) -> Images:
        """Samples as images uint8 [N, H, W, C]."""
        if self.low_ is None and X.dtype != np.uint8:
            raise DataError(expected("X", "uint8, as fit had", X.dtype))
        if self.low_ is not None:
            span = np.where(self.high_ > self.low_, self.high_ - self.low_, 1)
            X = SHARES.quantize((X.astype(np.float64) - self.low_) / span)
        return shaped("X", X, self.channels, self.series)


def _range(X: Array, series: str) -> tuple[Any, Any]:
    """The smallest and the largest number: of each column of a table, or of all images or series; None of uint8."""
    if X.dtype == np.uint8:
        return None, None
    values = X.astype(np.float64)
    axis = 0 if X.ndim == 2 and not series else None
    return values.min(axis), values.max(axis)
