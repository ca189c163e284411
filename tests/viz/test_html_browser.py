"""The HTML page in Chromium: it draws what the labels say, and everything on it can be used."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from occvino.datasets.shipped import shipped_scene
from occvino.evaluation.view import dataset_frames
from occvino.viz.html import write_html
from occvino.viz.palette import COLOURS
from occvino.viz.perspective import perspective_picture
from occvino.viz.surface import INVENTED, MISSED, WRONG, differences
from tests.viz.browser import opened, settled, started

pytestmark = pytest.mark.slow

FREE = 17


@pytest.fixture(scope="module")
def frames():
    first, second, third = dataset_frames(shipped_scene(), range(3))
    return [replace(first, truth=second.labels, mask=third.labels != 4), replace(second, truth=third.labels), third]


@pytest.fixture(scope="module")
def browser():
    with started() as found:
        yield found


@pytest.fixture(scope="module")
def viewer(browser, frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_html(frames, path, title="three frames")
    with opened(browser, path, width=960, height=600) as (page, asked, wrong):
        yield page
        assert asked == [path.resolve().as_uri()]
        assert not wrong, wrong


def canvas(page):
    settled(page)
    return np.asarray(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB"))


def reset(page):
    page.evaluate("async () => { viewer.hidden.class.clear(); await viewer.go(0); await viewer.layer('labels'); }")
    page.evaluate("() => { viewer.palette(false); viewer.stage.look('home'); }")


def test_it_draws_what_the_perspective_picture_draws(viewer, frames):
    """The two are written apart: one by WebGL, one by painting faces from far to near."""
    reset(viewer)
    drawn = canvas(viewer)
    size = (drawn.shape[1], drawn.shape[0])
    expected = perspective_picture(frames[0].labels, frames[0].grid, frames[0].class_names, size=size)
    other = perspective_picture(frames[2].labels, frames[0].grid, frames[0].class_names, size=size)
    coarse = [
        np.asarray(Image.fromarray(np.asarray(each)).resize((48, 27)), float) for each in (drawn, expected, other)
    ]
    error = np.abs(coarse[0] - coarse[1]).mean()
    assert error < 12
    assert error < 0.6 * np.abs(coarse[0] - coarse[2]).mean()


def test_it_has_the_faces_that_numpy_finds(viewer, frames):
    reset(viewer)
    occupied = np.pad(frames[0].labels != FREE, 1)
    faces = sum(
        int((occupied & ~np.roll(occupied, step, axis))[1:-1, 1:-1, 1:-1].sum())
        for axis in range(3)
        for step in (1, -1)
    )
    assert viewer.evaluate("viewer.state.faces") == faces


def test_a_class_is_hidden_and_counted(viewer, frames):
    reset(viewer)
    row = viewer.locator('#rows label[data-name="car"]')
    assert row.locator("b").inner_text() == f"{(frames[0].labels == frames[0].class_names.index('car')).sum():,}"
    blue = np.array(COLOURS["car"]) / np.linalg.norm(COLOURS["car"])

    def car_pixels():
        pixels = canvas(viewer).astype(float)
        length = np.linalg.norm(pixels, axis=-1)
        return ((pixels @ blue > 0.995 * length) & (length > 60)).mean()

    before = car_pixels()
    row.locator("input").uncheck()
    assert before > 0.005
    assert car_pixels() < before / 50
    viewer.keyboard.press("a")  # all again
    assert car_pixels() == before


def test_slider_and_keys_change_the_frame(viewer, frames):
    reset(viewer)
    first = canvas(viewer)
    viewer.locator("#slider").fill("2")
    viewer.wait_for_function(f"document.getElementById('frame').textContent.includes('{frames[2].name}')")
    assert (viewer.evaluate("Array.from(viewer.values())") == frames[2].labels.reshape(-1)).all()
    assert np.abs(canvas(viewer).astype(int) - first).mean() > 1
    viewer.locator("#canvas").hover()
    viewer.evaluate("document.activeElement.blur()")
    viewer.keyboard.press("ArrowRight")  # round to the first
    viewer.wait_for_function(f"document.getElementById('frame').textContent.includes('{frames[0].name}')")


def test_differences_are_those_of_the_other_viewers(viewer, frames):
    reset(viewer)
    viewer.locator('#layers button[data-layer="difference"]').click()
    viewer.wait_for_function("viewer.state.layer === 'difference' && viewer.values()[0] !== undefined")
    kinds = np.array(viewer.evaluate("Array.from(viewer.values())")).reshape(frames[0].labels.shape)
    expected = differences(frames[0].labels, frames[0].truth, FREE, frames[0].mask)
    for kind in (MISSED, INVENTED, WRONG):
        np.testing.assert_array_equal(kinds == kind, expected == kind)
    viewer.evaluate("viewer.go(2)")  # has no truth: its labels are shown instead
    viewer.wait_for_function("viewer.state.layer === 'labels'")
    assert viewer.locator('#layers button[data-layer="difference"]').is_disabled()


def test_pointing_at_a_voxel_tells_what_it_is(viewer, frames):
    reset(viewer)
    grid = frames[0].grid
    box = viewer.locator("#canvas").bounding_box()
    seen = set()
    for across in np.linspace(0.1, 0.9, 7):
        viewer.mouse.move(box["x"] + across * box["width"], box["y"] + 0.6 * box["height"])
        settled(viewer)
        told = viewer.locator("#tip div").all_inner_texts()
        numbers = [float(word.strip(",;")) for word in told[-1].replace(" m", "").split() if word[-1] not in "xyhmi"]
        cell = tuple(np.round((np.array(numbers) - grid.lower) / grid.step - 0.5).astype(int))
        name = frames[0].class_names[frames[0].labels[cell]].replace("_", " ")
        assert name in told[0]
        seen.add(name)
    assert len(seen) > 1


def test_a_phone_shows_all_of_it(browser, frames, tmp_path):
    path = tmp_path / "page.html"
    write_html(frames[:1], path)
    with opened(browser, path, width=360, height=740) as (page, _, wrong):
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert not page.locator("#panel").is_visible()
        page.locator("#more").click()
        assert page.locator('#rows label[data-name="car"]').is_visible()
        assert page.locator("#bar").is_hidden()  # one frame has no slider
        assert not wrong, wrong
