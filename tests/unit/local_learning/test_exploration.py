"""Algorithm 1 against its pseudo code, line by line, with accuracies that are made up; rewards and fronts."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from naive.exploration import algorithm1
from qpsnn_core.local_learning.exploration import choose, explore, pareto, reward

SCHEMES, ROUNDINGS = ("ptq", "itq"), ("truncation", "nearest", "stochastic")


def tried(search, accurate, levels, schemes=SCHEMES, roundings=ROUNDINGS):
    found = []

    def passes(points):
        found.extend(points)
        return [accurate(point) for point in points]

    explore(schemes, roundings, 3, levels, search, passes)
    return [tuple(point) for point in found]


def made_up(seed, levels):
    """Accuracy falls with each level, faster for some roundings, and is noisy, so that the cube has holes."""
    rng = random.Random(seed)
    most = {(s, r): [rng.randint(-1, levels) for _ in range(3)] for s in SCHEMES for r in ROUNDINGS}
    noise = rng.random() * 0.3

    def accurate(point):
        scheme, rounding, at = point
        within = all(one <= limit for one, limit in zip(at, most[scheme, rounding], strict=True))
        return within != (random.Random(f"{seed} {point}").random() < noise)

    return lambda point: accurate(tuple(point))


def test_the_papers_search_is_its_pseudo_code():
    counts = set()
    for seed in range(200):
        levels = 1 + seed % 5
        accurate = made_up(seed, levels)
        found = tried("paper", accurate, levels)
        candidates, ref = algorithm1(SCHEMES, levels, ROUNDINGS, accurate)
        assert len(set(found)) == len(found)
        assert set(found) == set(ref)
        assert {point for point in found if accurate(point)} == set(candidates)
        counts.add(len(found))
    assert len(counts) > 10


def test_unpruned_it_is_all_and_a_first_failure_leaves_the_first_slab():
    assert len(tried("paper", lambda point: True, 9)) == 9**3 * 3 * 2
    assert len(tried("paper", lambda point: max(point.levels) > 0, 9)) == 9 * 9 * 3 * 2
    assert len(tried("per-rounding", lambda point: False, 9)) == 3 * 2


def test_any_rounding_that_fails_cuts_all_only_in_the_papers():
    def accurate(point):
        return point.rounding != "truncation" or point.levels[0] < 2

    paper, own = (tried(search, accurate, 4, ("ptq",)) for search in ("paper", "per-rounding"))
    assert max(point[2][0] for point in paper if point[1] == "nearest") == 2
    assert max(point[2][0] for point in own if point[1] == "nearest") == 3
    whole, cut = (sum(point[1] == rounding for point in own) for rounding in ("nearest", "truncation"))
    assert (whole, cut) == (4 * 4 * 4, 2 * 4 * 4 + 1)


def test_one_quantity_and_two():
    for axes, want in ((1, 4), (2, 4 * 5)):
        found = []

        def passes(points, found=found):
            found.extend(points)
            return [point.levels[0] < 3 for point in points]

        explore(("ptq",), ("nearest",), axes, 5, "paper", passes)
        assert len(found) == want


class Made(NamedTuple):
    accuracy: float
    memory: float


@pytest.mark.parametrize(("mu", "best"), [(0.0, 0), (0.01, 0), (0.3, 2), (1.0, 2)])
def test_reward_and_choice(mu, best):
    """Table II: the larger mu, the smaller the network."""
    some = [Made(0.8656, 1 / 3.194), Made(0.8627, 1 / 3.94), Made(0.8624, 1 / 3.987), Made(0.86, 0.5)]
    assert choose(some, mu) == some[best]
    assert reward(0.9, 0.25, 0.4) == pytest.approx(0.8)
    assert choose([], mu) is None


def test_equal_rewards_go_to_the_smaller():
    assert choose([Made(0.9, 0.5), Made(0.9, 0.5), Made(0.9, 0.25)], 0.0) == Made(0.9, 0.25)


def test_the_front_has_what_nothing_beats():
    some = [Made(0.9, 0.5), Made(0.8, 0.5), Made(0.7, 0.3), Made(0.9, 0.6), Made(0.6, 0.4), Made(0.95, 0.9)]
    assert pareto(some) == [Made(0.7, 0.3), Made(0.9, 0.5), Made(0.95, 0.9)]
