"""Pictures: what is where, what is hidden by what, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageChops

from occvino.errors import OccvinoError
from occvino.variant import NUSCENES_CAMERAS, OCC3D_CLASSES, Axis, Grid
from occvino.variants import get_variant
from occvino.viz import PictureError, bev_picture, camera_strip, compose
from occvino.viz.bev import class_shares, draw_panel, topmost
from occvino.viz.palette import COLOURS, GROUND, INK

FINE = get_variant("flashocc-r50").occupancy_grid
COARSE = Grid(Axis(-40.0, 40.0, 0.8), Axis(-40.0, 40.0, 0.8), Axis(-1.0, 5.4, 0.4))
FREE = OCC3D_CLASSES.index("free")
MARGIN, SIDE, GAP = 36, 800, 32


def label(name):
    return OCC3D_CLASSES.index(name)


def empty(grid=COARSE):
    return np.full(grid.shape, FREE, np.uint8)


def voxel(grid, x, y, z):
    axes = (grid.x, grid.y, grid.z)
    return tuple(int((at - axis.lower) // axis.step) for at, axis in zip((x, y, z), axes, strict=True))


@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["0.4 m", "0.8 m"])
@pytest.mark.parametrize(("x", "y"), [(20.1, 10.1), (20.1, -10.1), (-20.1, 12.1), (-30.1, -12.1)])
def test_a_voxel_lands_where_it_is_in_the_world(grid, x, y):
    labels = empty(grid)
    i, j, k = voxel(grid, x, y, 1.0)
    labels[i, j, k] = label("car")
    blank = draw_panel(empty(grid), grid, OCC3D_CLASSES, SIDE)
    changed = ImageChops.difference(draw_panel(labels, grid, OCC3D_CLASSES, SIDE), blank).getbbox()
    size = round(grid.x.step * 10)  # 80 m on 800 pixels
    left, top = (grid.y.size - 1 - j) * size, (grid.x.size - 1 - i) * size
    assert changed == (left, top, left + size, top + size)
    assert (left < 400) == (y > 0), "left of the vehicle is on the left"
    assert (top < 400) == (x > 0), "ahead of the vehicle is up"


def test_a_grid_that_is_longer_than_wide_keeps_its_proportions():
    grid = Grid(Axis(-20.0, 60.0, 0.8), Axis(-20.0, 20.0, 0.4), Axis(-1.0, 5.4, 0.4))
    assert draw_panel(empty(grid), grid, OCC3D_CLASSES, SIDE).size == (400, 800)


def test_things_win_over_ground_and_the_higher_thing_wins():
    labels = empty()
    labels[0, 0, :6] = [label(n) for n in ("terrain", "car", "free", "vegetation", "sidewalk", "free")]
    labels[0, 1, :3] = [label(n) for n in ("sidewalk", "driveable_surface", "free")]
    labels[0, 2, 15] = label("others")
    shown, height = topmost(labels, OCC3D_CLASSES)
    assert [OCC3D_CLASSES[i] for i in shown[0, :4]] == ["vegetation", "driveable_surface", "others", "free"]
    assert height[0, :4].tolist() == [3, 1, 15, -1]


@pytest.mark.parametrize("ground", sorted(GROUND))
def test_a_thing_below_ground_still_shows(ground):
    labels = empty()
    labels[5, 5, 3], labels[5, 5, 9] = label("pedestrian"), label(ground)
    assert topmost(labels, OCC3D_CLASSES)[0][5, 5] == label("pedestrian")


def test_the_higher_of_two_things_is_brighter_and_shades_the_ground_to_its_lower_right():
    labels = empty()
    labels[:, :, 2] = label("driveable_surface")
    high, low = voxel(COARSE, 24.1, 8.1, 4.0), voxel(COARSE, 24.1, -8.1, 1.0)
    labels[high], labels[low] = label("manmade"), label("manmade")
    panel = np.asarray(draw_panel(labels, COARSE, OCC3D_CLASSES, SIDE)).astype(int)

    def brightness(place, rows=0, columns=0):
        return panel[(99 - place[0] + rows) * 8 + 4, (99 - place[1] + columns) * 8 + 4].sum()

    assert brightness(high) > brightness(low)
    assert brightness(high, 1, 1) < 0.8 * brightness(high, -1, -1)
    assert brightness(high, -1, -1) == brightness(low, -2, -2), "none towards the light"
    assert brightness(low, 2, 2) == brightness(low, -2, -2)


def test_the_ego_vehicle_is_drawn_to_scale_and_heads_up():
    panel = np.asarray(draw_panel(empty(), COARSE, OCC3D_CLASSES, SIDE)).astype(int)
    ink = np.abs(panel - INK).max(axis=-1) < 12
    across = ink[400 - 10, 380:420]  # one metre ahead of the rear axle: bonnet and roof, no glass
    assert across.sum() == pytest.approx(19, abs=1)
    assert np.flatnonzero(across).mean() == pytest.approx(19.5, abs=0.6)
    background = panel[600, 300]
    drawn = np.flatnonzero(np.abs(panel[:, 400] - background).max(axis=-1) > 8)
    body = drawn[(drawn > 400 - 40) & (drawn < 400 + 15)]
    assert body.max() - body.min() + 1 == pytest.approx(46 + 3, abs=2), "4.6 m, and the outline around them"
    assert ink[340:358, 400].any(), "the arrow is ahead"
    assert not ink[412:600, 400].any()


@pytest.mark.parametrize("present", [(), ("car",), ("bus", "terrain", "pedestrian"), OCC3D_CLASSES[:-1]])
def test_the_legend_has_a_swatch_for_every_class_that_occurs_and_no_other(present):
    labels = empty()
    for i, name in enumerate(present):
        labels[i * 3, 90, 4] = label(name)
    picture = np.asarray(bev_picture(labels, COARSE, OCC3D_CLASSES))
    beside = picture[:, MARGIN + SIDE + GAP :].reshape(-1, 3)
    swatches = {name for name, colour in COLOURS.items() if (beside == colour).all(axis=1).sum() >= 13 * 13}
    assert swatches == set(present)


def test_shares_are_of_the_occupied_voxels():
    labels = empty()
    labels[0, 0, :4] = [label(n) for n in ("car", "car", "car", "terrain")]
    assert class_shares(labels, OCC3D_CLASSES) == {"car": 0.75, "terrain": 0.25}
    assert class_shares(empty(), OCC3D_CLASSES) == {}


def test_every_class_has_its_own_colour():
    assert set(COLOURS) == set(OCC3D_CLASSES[:-1])
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_a_title_is_drawn_in_room_of_its_own():
    labels = empty()
    without, titled = (bev_picture(labels, COARSE, OCC3D_CLASSES, title=title) for title in (None, "Street 7"))
    assert titled.width == without.width
    assert titled.height > without.height
    heading = np.asarray(titled)[MARGIN : MARGIN + 24, MARGIN:200]
    assert heading.max() > 200


BAD = {
    "another type": (empty().astype(np.int64), OCC3D_CLASSES, r"int64.*astype\(numpy.uint8\)"),
    "a batch axis": (empty()[None], OCC3D_CLASSES, r"\(1, 100, 100, 16\).*\(100, 100, 16\).*batch axis"),
    "another grid": (empty(FINE), OCC3D_CLASSES, r"\(200, 200, 16\).*pass the grid"),
    "a label too high": (empty() + np.uint8(1), OCC3D_CLASSES, r"label 18 has no name.*0 to 17"),
    "free is not last": (empty(), OCC3D_CLASSES[:-1], r"the last class is 'vegetation', expected 'free'"),
    "no classes": (empty(), (), r"the last class is none, expected 'free'"),
    "an unknown class": (empty() * 0, ("tank", "free"), r"no colour for class 'tank'.*car"),
}


@pytest.mark.parametrize(("labels", "names", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_drawn_is_refused_by_name(labels, names, message):
    for draw in (bev_picture, lambda *given: compose({"CAM_FRONT": image(0)}, {"Truth": given[0]}, *given[1:])):
        with pytest.raises(PictureError, match=message) as caught:
            draw(labels, COARSE, names)
        assert isinstance(caught.value, OccvinoError)
        assert isinstance(caught.value, ValueError)


def image(shade, size=(90, 160)):
    return np.full((*size, 3), shade, np.uint8)


def test_nuscenes_cameras_stand_where_they_look_whatever_order_they_come_in():
    shades = {name: 40 * i + 20 for i, name in enumerate(NUSCENES_CAMERAS)}
    names = sorted(shades)
    sheet = np.asarray(camera_strip([image(shades[n]) for n in names], names, width=616))
    cell_height = (sheet.shape[0] - 8) // 2
    for i, name in enumerate(NUSCENES_CAMERAS):
        row, column = i // 3 * (cell_height + 8) + 20, i % 3 * (200 + 8) + 100
        assert sheet[row, column].tolist() == [shades[name]] * 3


def test_other_cameras_keep_their_order_and_pillow_images_are_taken():
    images = [Image.fromarray(image(shade)) for shade in (200, 100)]
    sheet = np.asarray(camera_strip(images, ["rear", "front"], width=616))
    assert sheet.shape == (112, 616, 3)
    assert [sheet[20, column, 0] for column in (100, 308)] == [200, 100]


@pytest.mark.parametrize(
    ("images", "names", "message"),
    [
        ([], [], "0 images and 0 names"),
        ([image(0)], ["a", "b"], "1 images and 2 names"),
        ([image(0), image(0)], ["a", "a"], "named twice in a, a"),
        ([image(0).astype(np.float32)], ["a"], r"a: the image is float32 \(90, 160, 3\), expected uint8"),
        ([image(0)[..., 0]], ["a"], r"a: the image is uint8 \(90, 160\), expected uint8 \(height, width, 3\)"),
    ],
)
def test_images_that_are_none_are_refused(images, names, message):
    with pytest.raises(PictureError, match=message):
        camera_strip(images, names)


@pytest.mark.parametrize(("count", "side"), [(1, 800), (2, 600)])
def test_a_figure_holds_the_strip_and_each_volume_under_it(count, side):
    volumes = {}
    for i in range(count):
        labels = empty()
        labels[60 + i, 30:60, 5] = label("bus" if i else "car")
        volumes[f"Volume {i}"] = labels
    cameras = {name: image(150) for name in NUSCENES_CAMERAS}
    figure = compose(cameras, volumes, COARSE, OCC3D_CLASSES, title="Demo")
    assert figure.width == 2 * MARGIN + count * (side + GAP) + 252
    for i, labels in enumerate(volumes.values()):
        left = MARGIN + i * (side + GAP)
        found = figure.crop((left, figure.height - MARGIN - side, left + side, figure.height - MARGIN))
        assert ImageChops.difference(found, draw_panel(labels, COARSE, OCC3D_CLASSES, side)).getbbox() is None
    beside = np.asarray(figure)[:, figure.width - MARGIN - 252 :].reshape(-1, 3)
    for name, expected in (("car", True), ("bus", count == 2), ("truck", False)):
        assert (beside == COLOURS[name]).all(axis=1).any() == expected


@pytest.mark.parametrize("count", [0, 3])
def test_a_figure_takes_one_or_two_volumes(count):
    volumes = {str(i): empty() for i in range(count)}
    with pytest.raises(PictureError, match=f"{count} label volumes: a figure takes one or two"):
        compose({"CAM_FRONT": image(0)}, volumes, COARSE, OCC3D_CLASSES)


def test_pictures_need_numpy_and_pillow_only():
    heavy = {"torch", "onnx", "openvino", "matplotlib"}
    code = f"import sys, occvino.viz, occvino.datasets.shipped; print(*{heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
