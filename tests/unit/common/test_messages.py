"""The form of a message, of a table of text, and of an option that a function lacks."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import small

from qpsnn_core.common.errors import LONGEST, ConfigError, Unquoted, expected
from qpsnn_core.common.options import known_options
from qpsnn_core.common.serialization import did_you_mean
from qpsnn_core.common.text_table import aligned


@pytest.mark.parametrize(
    ("got", "text"),
    [
        (3, "3"),
        ("a", "'a'"),
        (Unquoted("a"), "a"),
        ("a\nb", r"'a\nb'"),
        (small.network(), "Network(13 nodes, 6x6x2 to 3 classes, T = 3)"),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
        ("x" * 300, f"'{'x' * (LONGEST - 1)}..."),
    ],
)
def test_a_message_is_one_line(got, text):
    assert expected("here", "that", got) == f"here: expected that, got {text}"


def test_columns_are_aligned_and_lines_end_without_spaces():
    rows = [("name", "count"), ("a", "12"), ("long name", "")]
    assert aligned(rows, right=(1,)) == ["name       count", "a             12", "long name"]
    assert aligned(rows) == ["name       count", "a          12", "long name"]


def test_an_option_that_a_function_lacks_is_named_and_its_signature_stays():
    @known_options(lambda name, known: " (it is theirs)" if name == "other" else did_you_mean(name, known))
    def verb(model: int, *, every: int = 1, stage: str = "") -> int:
        """What it does."""
        return model * every

    assert verb(2, every=3) == verb(model=2, every=3) == 6
    assert str(inspect.signature(verb)) == "(model: 'int', *, every: 'int' = 1, stage: 'str' = '') -> 'int'"
    assert verb.__doc__ == "What it does."
    for option, hint in (("evry", " (did you mean 'every'?)"), ("other", " (it is theirs)"), ("zzz", "")):
        with pytest.raises(ConfigError) as caught:
            verb(2, **{option: 1})
        assert str(caught.value) == f"verb: expected options, of every, stage, got '{option}'{hint}"
