"""The camera for still images: against loops, and what must be true of any picture."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from naive import events as naive
from qpsnn_core.common.errors import ConfigError, DataError
from qpsnn_core.kernels.events.camera import FINE, LEVELS
from qpsnn_datasets.events.filters import flip, refractory
from qpsnn_datasets.events.saccades import TRIANGLE, UNITS, Camera, saccade

FIELDS = ("t", "y", "x", "p")
QUICK = Camera(saccade=9_000, sample=1_000)


def picture(height=5, width=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)


def events(one):
    return list(zip(*(getattr(one, field).tolist() for field in FIELDS), strict=True))


def path(camera):
    """(moves, times): where the picture is at each sample, along the triangle."""
    each = camera.saccade // camera.sample
    moves, times = [], []
    for leg in range(3):
        (x0, y0), (x1, y1) = TRIANGLE[leg], TRIANGLE[leg + 1]
        for k in range(each + (leg == 2)):
            across, down = x0 + (x1 - x0) * (k / each), y0 + (y1 - y0) * (k / each)
            moves.append((round(across * camera.amplitude * FINE), round(down * camera.amplitude * FINE)))
            times.append((leg * each + k) * camera.sample)
    return moves, times


def table(camera):
    dark = camera.darkest
    return [round(float(np.log(dark + (1 - dark) * k / (LEVELS - 1))) * UNITS) for k in range(LEVELS)]


def twin(image, camera):
    return naive.saccade(image, *path(camera), table(camera), round(camera.threshold * UNITS), camera.margin, FINE)


@pytest.mark.parametrize(
    "camera",
    [
        QUICK,
        Camera(threshold=0.05, amplitude=3.3, margin=0, saccade=6_000, sample=1_000),
        Camera(threshold=0.7, darkest=0.01, amplitude=1.0, margin=3, saccade=7, sample=1),
    ],
)
def test_the_camera_is_its_twin(camera):
    image = picture()
    comp = saccade(image, camera)
    ref = twin(image, camera)
    assert events(comp) == ref
    assert len(ref) > 20
    assert comp.sensor == (5 + 2 * camera.margin, 4 + 2 * camera.margin)


def test_what_does_not_move_or_has_nothing_to_show_gives_no_events():
    assert len(saccade(picture(), Camera(amplitude=0))) == 0
    assert len(saccade(np.zeros((6, 6), np.uint8))) == 0
    assert len(saccade(np.full((9, 9), 200, np.uint8), Camera(margin=0))) > 0
    inner = saccade(np.full((9, 9), 200, np.uint8))
    assert not ((inner.x > 2) & (inner.x < 8) & (inner.y > 2) & (inner.y < 8)).any()


def test_every_pixel_ends_where_it_began():
    """The path is closed: ON and OFF of a pixel are equal, or differ by the one that its hysteresis owes."""
    one = saccade(picture(12, 12), Camera(threshold=0.05))
    signed = np.zeros(one.sensor, int)
    np.add.at(signed, (one.y, one.x), np.where(one.p, 1, -1))
    assert np.abs(signed).max() == 1
    assert len(one) > 5000


@pytest.mark.parametrize("threshold", [0.003, 0.05, 0.2])
def test_events_are_as_many_as_the_log_intensity_travels(threshold):
    """ON by what a pixel's log intensity rises in all, OFF by what it falls: but for two thresholds at every turn."""
    image, camera = picture(), Camera(threshold=threshold, saccade=9_000, sample=1_000)
    one, moves, entries = saccade(image, camera), path(camera)[0], table(camera)
    for y, x in np.ndindex(one.sensor):
        places = [((x - 1) * FINE - across, (y - 1) * FINE - down) for across, down in moves]
        levels = [naive.log_intensity(image, *place, entries, FINE) / UNITS for place in places]
        steps = np.diff(levels)
        turns = 1 + (np.diff(np.sign(steps)) != 0).sum()
        here = (one.x == x) & (one.y == y)
        for kind, travelled in ((one.p, steps[steps > 0].sum()), (~one.p, -steps[steps < 0].sum())):
            assert abs((kind & here).sum() * threshold - travelled) <= 2 * threshold * turns


def test_half_the_threshold_gives_about_twice_the_events():
    image = picture(16, 16)
    many, few = (len(saccade(image, Camera(threshold=threshold))) for threshold in (0.02, 0.04))
    assert 1.9 < many / few < 2.1


def test_a_mirrored_path_sees_the_mirrored_picture(monkeypatch):
    """Exactly, as positions and intensities are integers."""
    from qpsnn_datasets.events import saccades as module

    image = picture(7, 6)
    ref = flip(saccade(image))
    monkeypatch.setattr(module, "TRIANGLE", tuple((-x, y) for x, y in TRIANGLE))
    module._path.cache_clear()
    try:
        comp = saccade(image[:, ::-1].copy())
    finally:
        module._path.cache_clear()
    assert sorted(events(comp)) == sorted(events(ref))
    assert len(comp) > 100


def test_on_goes_before_the_bright_bar_and_off_behind_it(monkeypatch):
    """A bar that moves to the right brightens pixels to its right, and darkens those that it leaves."""
    from qpsnn_datasets.events import saccades as module

    monkeypatch.setattr(module, "TRIANGLE", ((0.0, 0.0), (1.0, 0.0)))
    module._path.cache_clear()
    image = np.zeros((5, 9), np.uint8)
    image[:, 3:5] = 255
    try:
        one = saccade(image, Camera(margin=0, amplitude=2.0))
    finally:
        module._path.cache_clear()
    assert set(one.x[one.p]) == {5, 6}
    assert set(one.x[~one.p]) == {3, 4}
    assert np.median(one.t[one.p & (one.x == 5)]) < np.median(one.t[one.p & (one.x == 6)])


def test_the_same_image_gives_the_same_events_everywhere():
    image = np.add.outer(np.arange(16), 3 * np.arange(12)).astype(np.uint8) * 4
    one = saccade(image)
    bits = b"".join(getattr(one, field).astype("<i8").tobytes() for field in FIELDS)
    assert (len(one), hashlib.sha256(bits).hexdigest()[:16]) == FINGERPRINT


FINGERPRINT = (823, "2d7613b2355561d8")


def test_times_begin_at_0_and_end_before_the_duration():
    one = saccade(picture(20, 20), Camera(threshold=0.01))
    assert 0 <= one.t[0] < 1000
    assert 299_000 < one.t[-1] < Camera().duration == 300_000


def test_a_pixel_rests():
    image = picture(10, 10)
    camera = Camera(threshold=0.05)
    comp = saccade(image, Camera(threshold=0.05, refractory=5000))
    assert events(comp) == events(refractory(saccade(image, camera), 5000))
    assert len(comp) < len(saccade(image, camera))


def test_noise_comes_at_its_rate_and_by_its_seed():
    """20,000 pixels x 0.3 s x 10 a second: 60,000 expected, within 5 deviations; both kinds, everywhere, always."""
    black = np.zeros((100, 200), np.uint8)
    camera = Camera(noise=10, margin=0)
    one = saccade(black, camera, seed=1)
    assert abs(len(one) - 60_000) < 5 * 60_000**0.5
    assert abs(one.p.mean() - 0.5) < 5 * 0.5 / 60_000**0.5
    for values, most in ((one.x, 200), (one.y, 100), (one.t, 300_000)):
        assert abs(values.mean() - most / 2) < 5 * most / 12**0.5 / 60_000**0.5
    assert events(saccade(black, camera, seed=1)) == events(one)
    assert events(saccade(black, camera, seed=2)) != events(one)


def test_more_events_than_the_first_room_are_all_there():
    image = picture(10, 10)
    one = saccade(image, Camera(threshold=0.01, saccade=4_000, sample=1_000))
    assert len(one) > 4096
    assert events(one) == twin(image, Camera(threshold=0.01, saccade=4_000, sample=1_000))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[1, 2]], r"saccade\.image: expected a NumPy array of uint8, got list"),
        (np.zeros((3, 3)), r"saccade\.image: .*got float64"),
        (np.zeros((3, 3, 3), np.uint8), r"saccade\.image: expected \[H, W\] or \[H, W, 1\], got shape \[3, 3, 3\]"),
        (np.zeros((0, 3), np.uint8), r"saccade\.image"),
    ],
)
def test_what_is_no_grey_image_is_refused(image, message):
    with pytest.raises(DataError, match=message):
        saccade(image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0}, r"camera\.threshold: expected a number from 0\.001 to 100, got 0"),
        ({"threshold": float("nan")}, r"camera\.threshold"),
        ({"darkest": 1.5}, r"camera\.darkest"),
        ({"amplitude": -1}, r"camera\.amplitude"),
        ({"margin": -1}, r"camera\.margin"),
        ({"saccade": 0}, r"camera\.saccade"),
        ({"sample": 3000}, r"camera\.sample: expected a divisor of the saccade's 100000 microseconds, got 3000"),
        ({"noise": 501}, r"camera\.noise: expected a number from 0 to 500, got 501"),
        ({"refractory": 0.5}, r"camera\.refractory"),
    ],
)
def test_settings_that_make_no_camera_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        Camera(**settings)
