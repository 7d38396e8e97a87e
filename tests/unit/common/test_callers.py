"""Warnings are of the line of the user's code that called a verb, however many of our functions are between."""

from __future__ import annotations

import warnings

import pytest

from qpsnn_core.common.callers import users_level


def of_package(text):
    """A module of the package, by its name."""
    names = {"__name__": "qpsnn_core.made_up", "users_level": users_level, "warnings": warnings}
    exec(text, names)
    return names


OURS = """
def verb():
    inner()

def inner():
    warnings.warn(UserWarning("x"), stacklevel=users_level())
"""


@pytest.mark.parametrize("called", ["verb", "inner"])
def test_the_place_is_the_callers(called):
    with pytest.warns(UserWarning, match="x") as found:
        of_package(OURS)[called]()
    assert found[0].filename == __file__
