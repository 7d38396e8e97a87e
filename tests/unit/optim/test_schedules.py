"""Learning rates at known steps, and what the schedules refuse."""

from __future__ import annotations

import math

import pytest

from qpsnn_core.common.errors import ConfigError
from qpsnn_core.optim.schedules import SCHEDULES, constant, cosine, step


def test_constant():
    assert [constant(0.1, 10)(n) for n in (0, 5, 10, 99)] == [0.1] * 4


def test_cosine_at_its_quarters():
    rate = cosine(0.4, 100)
    assert [rate(n) for n in (0, 50, 100, 150)] == pytest.approx([0.4, 0.2, 0.0, 0.0], abs=1e-15)
    assert rate(25) == pytest.approx(0.2 * (1 + math.sqrt(0.5)))


def test_cosine_is_pytorchs_recursion():
    """CosineAnnealingLR updates the last rate; its values, stepped through, are those of the closed form."""
    lr, total, floor = 0.1, 30, 0.01
    rate, value = cosine(lr, total, floor=floor), lr
    for epoch in range(1, total):
        up, down = 1 + math.cos(math.pi * epoch / total), 1 + math.cos(math.pi * (epoch - 1) / total)
        value = up / down * (value - floor) + floor
        assert rate(epoch) == pytest.approx(value, rel=1e-12)


def test_cosine_falls_to_its_floor_and_stays():
    rate = cosine(0.1, 20, floor=0.02)
    values = [rate(n) for n in range(30)]
    assert values == sorted(values, reverse=True)
    assert values[20:] == pytest.approx([0.02] * 10)


def test_steps_at_milestones_by_period_and_by_default():
    assert [step(1.0, 10, milestones=(3, 7), factor=0.5)(n) for n in (2, 3, 6, 7, 99)] == [1, 0.5, 0.5, 0.25, 0.25]
    assert [step(1.0, 10, every=4, factor=0.5)(n) for n in (3, 4, 7, 8)] == [1, 0.5, 0.5, 0.25]
    assert [step(1.0, 100)(n) for n in (49, 50, 74, 75)] == pytest.approx([1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_rises_linearly_to_the_full_rate(name):
    rate = SCHEDULES[name](0.5, 100, warmup=4)
    assert [rate(n) for n in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_training_that_is_all_warm_up(name):
    assert [SCHEDULES[name](0.3, 2, warmup=2)(n) for n in (0, 1)] == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_rate_is_positive_until_the_end(name):
    assert all(SCHEDULES[name](0.1, 50, warmup=3)(n) > 0 for n in range(50))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("constant", {"lr": 0}, "schedule.lr: expected a positive number, got 0"),
        ("cosine", {"lr": math.inf}, "schedule.lr: expected a positive number, got inf"),
        ("cosine", {"lr": math.nan}, "schedule."),
        ("cosine", {"floor": 0.2}, "schedule.floor: expected a number from 0 to lr (0.1), got 0.2"),
        ("step", {"total": 0}, "schedule.total: expected an integer of at least 1, got 0"),
        ("cosine", {"total": 1.5}, "schedule.total: expected an integer of at least 1, got 1.5"),
        ("constant", {"warmup": 11}, "schedule.warmup: expected an integer from 0 to the total (10), got 11"),
        ("step", {"factor": 0.0}, "schedule.factor: expected a number in (0, 1], got 0.0"),
        ("step", {"every": -1}, "schedule.every"),
        ("step", {"every": 2, "milestones": (3,)}, "schedule.every"),
        ("step", {"milestones": (3, 3)}, "schedule.milestones: expected rising step numbers"),
        ("step", {"milestones": (0, 3)}, "schedule.milestones: expected rising step numbers"),
    ],
)
def test_what_schedules_refuse(name, arguments, message):
    with pytest.raises(ConfigError) as caught:
        SCHEDULES[name](**{"lr": 0.1, "total": 10, **arguments})
    assert str(caught.value).startswith(message)


def test_a_step_before_the_first():
    with pytest.raises(ConfigError, match=r"schedule\.step"):
        constant(0.1, 10)(-1)


def test_cosine_after_a_warm_up_ends_at_the_total():
    """x runs from 0 after 4 of 12 steps to 1 at the last: the middle lies at step 8."""
    rate = cosine(0.5, 12, warmup=4, floor=0.1)
    assert [rate(n) for n in (4, 8, 12, 16)] == pytest.approx([0.5, 0.3, 0.1, 0.1], rel=1e-12)
    assert rate(6) == pytest.approx(0.1 + 0.4 * (1 + math.sqrt(0.5)) / 2, rel=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_a_warm_up_the_first_rate_is_the_full_one(name):
    assert SCHEDULES[name](0.5, 8)(0) == 0.5


@pytest.mark.parametrize("every", [-1, -0.5, 2.0, 0.0, True, None])
def test_a_period_is_a_whole_number_of_steps(every):
    with pytest.raises(ConfigError, match=r"schedule\.every: expected an integer of at least 0"):
        step(1.0, 10, every=every)


def test_after_a_training_that_is_all_warm_up_the_cosine_is_at_its_floor():
    assert [cosine(0.3, 2, warmup=2, floor=0.1)(n) for n in (2, 3)] == pytest.approx([0.1, 0.1])
