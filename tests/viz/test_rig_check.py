"""The picture of `occvino rig check`: lines lie where cameras see them, whatever the rig."""

import numpy as np
import pytest
from PIL import Image

from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig
from occvino.variants import get_variant
from occvino.viz import drawing
from occvino.viz.palette import PANEL
from occvino.viz.rig_check import rig_picture
from tests.geometry.rigs import camera

M0 = get_variant("flashocc-r50-M0")
LEFT, TOP, WIDTH = 36, 98, 960
"""Where the image of a single camera is, and how wide."""
RINGS = {10.0: (255, 214, 10), 20.0: (255, 149, 0), 40.0: (255, 64, 140)}
HORIZON = (90, 200, 250)
CAMERAS = {
    "straight": camera("cam", 20, [1.0, 0.3, 1.6], pitch=4, roll=3),
    "plumb_bob": camera("cam", -70, [1.0, 0.3, 2.0], focal=0.6, lens=Lens("plumb_bob", (-0.2, 0.03, 2e-4, 1e-5, 0.0))),
    "fisheye": camera("cam", 90, [2.0, 0.9, 1.0], pitch=30, focal=0.28, lens=Lens("fisheye", (0.02, -0.004, 0.001, 0))),
}


def drawn(rig, images=None, **options):
    return np.asarray(rig_picture(rig, images or {}, M0, **options).convert("RGB")).astype(int)


def near(page, u, v, colour):
    """Whether a pixel within two of there is about of that colour."""
    column, row = round(u), round(v)
    block = page[row - 2 : row + 3, column - 2 : column + 3]
    return np.abs(block - colour).max(-1).min() < 70


def positions(seen, points):
    """On the page, of points of the ego frame that the camera sees; without those at the frame and below its name."""
    scale = WIDTH / seen.width
    found = (seen.project(points)[:, :2] + 0.5) * scale - 0.5
    height = round(seen.height * scale)
    free = (found > 12).all(1) & (found[:, 0] < WIDTH - 12) & (found[:, 1] < height - 50)
    return found[free] + (LEFT, TOP)


@pytest.mark.parametrize("name", CAMERAS)
def test_rings_and_horizon_are_where_the_camera_sees_them(name):
    seen = CAMERAS[name]
    page = drawn(Rig((seen,)))
    turns = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.stack([np.cos(turns), np.sin(turns), np.zeros_like(turns)], axis=1)
    for points, colour in (
        *((radius * circle, colour) for radius, colour in RINGS.items()),
        (1e6 * circle + [0, 0, seen.sensor2ego[2, 3]], HORIZON),
    ):
        at = positions(seen, points)
        assert len(at) > 20
        hits = np.mean([near(page, u, v, colour) for u, v in at])
        assert hits > 0.9, (name, colour, hits)  # axes and lanes cross them
        above = np.mean([near(page, u, v - 9, colour) for u, v in at if v - 9 > TOP + 12])
        assert above < 0.2


def test_a_fisheye_shows_the_ground_beside_and_behind_itself():
    seen = camera("cam", 0, [2.0, 0.0, 1.0], pitch=60, focal=0.2, lens=Lens("fisheye", (0, 0, 0, 0)))
    page = drawn(Rig((seen,)))
    lane = np.array([[x, 1.75, 0.0] for x in np.linspace(-0.2, 0.2, 9)])  # behind the plane through the camera
    to_sensor = np.linalg.inv(seen.sensor2ego)
    rays = lane @ to_sensor[:3, :3].T + to_sensor[:3, 3]
    assert (rays[:, 2] < 0).all()
    at = (seen.lens.placed(rays) @ seen.intrinsics[:2, :2].T + seen.intrinsics[:2, 2]) * WIDTH / seen.width
    assert all(near(page, u + LEFT, v + TOP, (255, 255, 255)) for u, v in at)


def test_the_image_is_shown_whole_and_without_one_there_is_grey():
    seen = camera("cam", 0, [1.0, 0.0, 1.5])
    image = Image.new("RGB", (seen.width, seen.height), (10, 90, 20))
    with_image, without = drawn(Rig((seen,)), {"cam": image}), drawn(Rig((seen,)))
    corner = slice(TOP + 20, TOP + 60), slice(LEFT + 20, LEFT + 200)
    assert (with_image[corner] == (10, 90, 20)).all()
    assert (without[corner] == PANEL).all()
    assert (with_image[:, LEFT + WIDTH :] == without[:, LEFT + WIDTH :]).all()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 12])
def test_any_number_of_cameras_with_long_names_fits(count):
    names = [f"/sensing/camera/very_long_name_of_a_camera_{index}/image_rect_color" for index in range(count)]
    rig = Rig(tuple(camera(each, 360 * i / count, [1.0, 0.0, 1.5]) for i, each in enumerate(names)))
    page = drawn(rig, title="a/" * 200 + "rig.json", notes=["word " * 300])
    background = page[0, 0]
    for border in (page[:20], page[-20:], page[:, :30], page[:, -30:]):
        assert (border == background).all()
    assert page.shape[0] < 1500


def test_images_of_different_shapes_do_not_lie_on_each_other():
    rig = Rig((camera("a", 0, [1, 0, 1.5], size=(1280, 560)), camera("b", 90, [1, 0, 1.5]),
               camera("c", 180, [1, 0, 1.5]), camera("d", -90, [1, 0, 1.5])))  # fmt: skip
    colours = {"a": (200, 0, 0), "b": (0, 150, 0), "c": (0, 0, 200), "d": (150, 150, 0)}
    images = {each.name: Image.new("RGB", (each.width, each.height), colours[each.name]) for each in rig.cameras}
    page = drawn(rig, images)
    for each in rig.cameras:
        shown = (page == colours[each.name]).all(-1)
        rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
        assert np.ptp(rows) / np.ptp(columns) == pytest.approx(each.height / each.width, rel=0.05)


def test_words_are_shortened_in_the_middle():
    assert drawing.shortened("CAM_FRONT", drawing.SMALL, 300) == "CAM_FRONT"
    short = drawing.shortened("/camera/" + "x" * 90 + "/front_left", drawing.SMALL, 200)
    assert drawing.text_width(short, drawing.SMALL) <= 200
    assert short.startswith("/camera/")
    assert short.endswith("/front_left")
