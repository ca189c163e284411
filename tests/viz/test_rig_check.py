"""The picture that shows whether a calibration is right: what is drawn where."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from occvino.geometry.rig import Rig
from occvino.variants import get_variant
from occvino.viz.rig_check import rig_picture
from tests.geometry.rigs import camera, right_rigs

MODEL = get_variant("flashocc-r50-M0")
RIGS = dict(right_rigs())
YELLOW, BLUE = (255, 214, 10), (90, 200, 250)
CELL, LEFT, TOP = 480, 36, 98
"""Width of an image in the picture, and where the first one is."""


def near(picture, colour):
    return np.abs(np.asarray(picture, int) - colour).max(-1) < 60


def test_the_ring_is_where_the_camera_sees_it():
    made = camera("front", 3, [1.4, 0.05, 1.5], pitch=4)
    cell = np.asarray(rig_picture(Rig((made,)), {}, MODEL))[TOP : TOP + 270, LEFT : LEFT + CELL]
    turn = np.linspace(-0.3, 0.3, 31)
    points = np.stack([10 * np.cos(turn), 10 * np.sin(turn), np.zeros(31)], axis=1)
    drawn = near(cell, YELLOW)
    for u, v, _ in made.project(points) * [CELL / 1280, CELL / 1280, 1]:
        assert drawn[int(v) - 2 : int(v) + 3, int(u) - 2 : int(u) + 3].any()
    assert drawn.mean() < 0.05


def test_the_horizon_is_level_with_the_camera():
    made = camera("front", 0, [1.4, 0.0, 1.5], pitch=4)
    cell = np.asarray(rig_picture(Rig((made,)), {}, MODEL))[TOP : TOP + 270, LEFT : LEFT + CELL]
    rows = np.argwhere(near(cell, BLUE))[:, 0]
    expected = (made.intrinsics[1, 2] - 1024 * np.tan(np.radians(4))) * CELL / 1280
    assert np.median(rows) == pytest.approx(expected, abs=2)


def test_a_wrong_pitch_moves_what_is_drawn_and_not_the_image():
    made = camera("front", 0, [1.4, 0.0, 1.5])
    image = Image.new("RGB", (1280, 720), (90, 90, 90))
    right = rig_picture(Rig((made,)), {"front": image}, MODEL)
    tilted = replace(made, sensor2ego=camera("front", 0, [1.4, 0.0, 1.5], pitch=5).sensor2ego)
    wrong = rig_picture(Rig((tilted,)), {"front": image}, MODEL)
    rows = [np.median(np.argwhere(near(np.asarray(p)[TOP : TOP + 270], BLUE))[:, 0]) for p in (right, wrong)]
    assert rows[0] - rows[1] > 25


@pytest.mark.parametrize("name", ["single", "parking", "shuttle"])
def test_any_number_of_cameras_and_notes(name):
    small = rig_picture(RIGS[name], {}, MODEL)
    noted = rig_picture(RIGS[name], {}, MODEL, ["a doubt about this rig " * 20])
    assert noted.width == small.width
    assert noted.height > small.height


def test_twelve_cameras_with_long_names():
    many = Rig(tuple(camera(f"a_camera_with_a_long_name_{i}", 30 * i, [0, 0, 1.5]) for i in range(12)))
    assert rig_picture(many, {}, MODEL).height > 6 * 270
