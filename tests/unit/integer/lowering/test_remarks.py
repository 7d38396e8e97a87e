"""Sentences of a lowering's report state its own figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import small

from qpsnn_core.integer.lowering.lower import lower


@pytest.mark.parametrize(("shares", "text"), [((0.0136, 0.002), "1.4%"), ((0.0, 0.00136), "0.14%"), ((0.0, 0.0), None)])
def test_the_share_of_float32_is_the_largest_of_any_neuron(shares, text):
    report = lower(small.model()).report
    neurons = tuple(replace(part, float32=share) for part, share in zip(report.neurons, (*shares, 0.0), strict=True))
    said = str(replace(report, neurons=neurons))
    sentence = f"Margins count the float32 arithmetic of training, at most {text}."
    assert (sentence in said) if text else ("Margins count" not in said)


def test_roundings_are_printed_as_shares_of_the_threshold():
    report = lower(small.model()).report
    part = replace(report.neurons[0], gain=0.0136, bias=0.25, threshold=1.5, rounding=0.0, fraction_bits=(3, 5))
    row = str(replace(report, neurons=(part, *report.neurons[1:]))).splitlines()[1].split()
    assert row[:8] == [part.name, "3", "to", "5", "1.36%", "25%", "150%", "0%"]
