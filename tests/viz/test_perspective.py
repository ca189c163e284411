"""Labels in perspective: what is where in the picture, and what hides what."""

import numpy as np
import pytest

from occvino.variants import get_variant
from occvino.viz.palette import COLOURS, PictureError
from occvino.viz.perspective import Viewpoint, perspective_picture

MODEL = get_variant("flashocc-r50-M0")
GRID, NAMES = MODEL.occupancy_grid, MODEL.class_names
FREE = len(NAMES) - 1
CAR, TRUCK = NAMES.index("car"), NAMES.index("truck")
ABOVE = Viewpoint(eye=(0.0, 0.0, 60.0), at=(1e-3, 0.0, 0.0), field=75.0)


def empty():
    return np.full(GRID.shape, FREE, np.uint8)


def at(x, y, z=0.0):
    return tuple(
        int((value - axis.lower) / axis.step) for value, axis in zip((x, y, z), (GRID.x, GRID.y, GRID.z), strict=True)
    )


def put(labels, label, x, y, z=(0.0, 2.0), size=2.0):
    (x0, y0, z0), (x1, y1, z1) = at(x - size / 2, y - size / 2, z[0]), at(x + size / 2, y + size / 2, z[1])
    labels[x0:x1, y0:y1, z0:z1] = label
    return labels


def like(picture, name):
    """Pixels of about the hue of a class, bool [H, W]."""
    pixels = np.asarray(picture, np.float64)
    colour = np.array(COLOURS[name], np.float64)
    cosine = pixels @ colour / (np.linalg.norm(pixels, axis=-1) * np.linalg.norm(colour) + 1e-9)
    return (cosine > 0.995) & (pixels.max(-1) > 60)


def test_left_is_left_and_far_is_above():
    labels = put(put(empty(), CAR, 10, 8), TRUCK, 25, -8)
    picture = perspective_picture(labels, GRID, NAMES, size=(640, 360))
    cars, trucks = np.argwhere(like(picture, "car")), np.argwhere(like(picture, "truck"))
    assert len(cars) > len(trucks) > 50
    assert cars[:, 1].max() < 320 < trucks[:, 1].min()
    assert trucks[:, 0].mean() < cars[:, 0].mean()


def test_what_is_nearer_hides_what_is_behind():
    wall = put(empty(), TRUCK, 12, 0, (0, 5), size=10.0)
    assert like(perspective_picture(put(empty(), CAR, 24, 0), GRID, NAMES, size=(640, 360)), "car").any()
    assert not like(perspective_picture(put(wall, CAR, 24, 0), GRID, NAMES, size=(640, 360)), "car").any()


def test_things_cast_shadows_away_from_the_sun():
    ground = empty()
    ground[:, :, 2] = NAMES.index("terrain")
    tall = put(ground.copy(), CAR, 10, 0, (0, 5))
    plain = np.asarray(perspective_picture(ground, GRID, NAMES, size=(400, 400), viewpoint=ABOVE), int).sum(-1)
    shaded = np.asarray(perspective_picture(tall, GRID, NAMES, size=(400, 400), viewpoint=ABOVE), int).sum(-1)
    car = like(perspective_picture(tall, GRID, NAMES, size=(400, 400), viewpoint=ABOVE), "car")
    dark = (shaded < 0.8 * plain) & ~car
    assert dark.sum() > 60
    # from above, ahead is up and left is left: the sun is ahead and to the left
    (row, column), (dark_row, dark_column) = np.argwhere(car).mean(0), np.argwhere(dark).mean(0)
    assert dark_row > row
    assert dark_column > column


def test_the_vehicle_is_drawn_where_nothing_is():
    white = lambda picture: (np.asarray(picture).min(-1) > 140).sum()  # noqa: E731
    assert white(perspective_picture(empty(), GRID, NAMES, size=(640, 360))) > 100
    assert white(perspective_picture(put(empty(), CAR, 1, 0, (-1, 3), 8.0), GRID, NAMES, size=(640, 360))) == 0


def test_labels_of_another_grid_are_refused():
    with pytest.raises(PictureError, match="labels have shape"):
        perspective_picture(np.zeros((3, 3, 3), np.uint8), GRID, NAMES)
