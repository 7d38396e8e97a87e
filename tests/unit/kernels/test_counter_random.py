"""Random words against the published vectors of Philox2x32-10 and the twin in Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naive import fixed_point as naive
from qpsnn_core.kernels.counter_random import one_of, random_word, sample_key, seed_word

WORDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("step", "element", "key", "ref"),
    [
        (0, 0, 0, 0xFF1DAE59),
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0x2C3F628B),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0xDD7CE038),
    ],
)
def test_known_answers(step, element, key, ref):
    """Of Random123's table of known answers."""
    assert naive.word(step, element, key) == ref
    assert random_word(step, element, np.uint64(key)) == ref


@given(WORDS, WORDS, WORDS)
@settings(max_examples=30, deadline=None)
def test_words_are_the_twins(step, element, key):
    assert random_word(step, element, np.uint64(key)) == naive.word(step, element, key)
    assert sample_key(np.uint64(key), element, step) == naive.word(step, key, element)


def test_a_seed_of_any_size_becomes_a_word():
    assert seed_word(2**32 - 1) == 2**32 - 1
    assert seed_word(2**32 + 5) == naive.word(5, 2**31, 1)
    assert seed_word(2**70 + 5) == naive.word(5, 2**31, naive.word(0, 2**31, 2**6))
    assert seed_word(2**64 + 5) != seed_word(2**32 + 5)


def test_one_of_gives_each_alike():
    found = np.bincount([one_of(5, step, np.uint64(7)) for step in range(2000)], minlength=5)
    assert len(found) == 5
    assert found.min() > 330
    assert found.max() < 470
