"""A convolution's weight gradient on whole numbers, whose float32 sums are exact in any order."""

from __future__ import annotations

import numpy as np

from naive import conv as naive
from qpsnn_core.engine.layers.conv_gradients import weight_sums
from qpsnn_core.kernels.conv import weight_gradient as kernels
from qpsnn_core.kernels.conv.geometry import AccGradient, ConvGeometry
from qpsnn_core.kernels.parts import parts_of
from qpsnn_core.network import Conv, ValueSpec

F = np.float32


class Case:
    """Spikes, gradients, accumulators and factors of whole numbers, drawn from one seed."""

    def __init__(self, size, inputs, outputs, kernel, stride=1, padding=0, *, max_count=1, steps=2, batch=2, rate=0.5):
        rng = np.random.default_rng([*size, inputs, outputs, kernel, stride, padding, max_count, steps, batch])
        self.value, self.geometry = ValueSpec("spikes", (*size, inputs), max_count), (kernel, stride, padding)
        self.node = Conv("n", "x", outputs, kernel, stride, padding)
        shape = (steps, batch, *size, inputs)
        self.spikes = (rng.integers(0, max_count + 1, shape) * (rng.random(shape) < rate)).astype(
            np.uint8 if max_count < 256 else np.uint16
        )
        shape = (steps, batch, *self.node.output(self.value).shape)
        self.gradient = rng.integers(-9, 10, shape).astype(F)
        self.acc = rng.integers(-9, 10, shape).astype(np.int16)
        self.factors = rng.integers(-3, 4, (3, outputs)).astype(F)
        self.outputs = outputs

    def back(self):
        """dL/dacc, in float64."""
        return (
            self.factors[0].astype(float) * self.gradient + self.factors[1].astype(float) * self.acc + self.factors[2]
        )

    def sizes(self):
        return ConvGeometry.of(self.value.shape, self.outputs, *self.geometry)

    def layout(self):
        return kernels.layout(*self.spikes.shape[:2], self.sizes(), self.value.max_count)

    def given(self):
        return AccGradient(self.gradient.reshape(-1, self.outputs), self.acc.reshape(-1, self.outputs), self.factors)

    def compare(self, parts=0):
        images = self.spikes.reshape(-1, *self.value.shape)
        back = self.back()
        ref = naive.weight_gradient(images, back.reshape(-1, *back.shape[2:]), *self.geometry)
        comp = weight_sums(
            self.sizes(), self.value.max_count, self.spikes, self.given(), parts_of(self.spikes.shape[1], parts)
        )
        np.testing.assert_array_equal(comp.reshape(ref.shape), ref)
