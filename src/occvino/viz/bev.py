"""Occupancy from above: one picture of a label volume, forward up and left on the left.

A column of voxels shows what stands highest in it; ground shows where nothing stands. Light falls in from the upper
left, so that height can be read: what is tall is brighter and casts a shadow to its lower right.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from occvino.variant import Grid
from occvino.viz import drawing
from occvino.viz.palette import COLOURS, FREE, GROUND, INK, MUTED, PAGE, PANEL, RULE, PictureError

MARGIN, GAP = 36, 32
_SIDE = 800
"""The longer side of the voxels' picture, pixels; less where a voxel would not be a whole number of them."""
_SHADOW = 0.66
_SHADOW_REACH = 7


def bev_picture(
    labels: NDArray[np.uint8], grid: Grid, class_names: Sequence[str], *, title: str | None = None
) -> Image.Image:
    """A top-down picture with rings, the ego vehicle to scale, a scale bar and a legend of the classes that occur.

    Args:
        labels: u8 [Dx, Dy, Dz], indexed [x, y, z] in the ego frame (x forward, y left, z up).
        grid: where the voxels lie, in metres.
        class_names: the name of each label; the last is `free`.
        title: a line above the picture.

    Raises:
        PictureError: labels of another type or shape than the grid's, a label with no name, or a class with no colour.
    """
    check_labels(labels, grid, class_names)
    panel = draw_panel(labels, grid, class_names, _SIDE)
    shares = [class_shares(labels, class_names)]
    top = MARGIN + (58 if title else 30)
    height = top + max(panel.height, drawing.legend_height(shares)) + MARGIN
    page = Image.new("RGB", (MARGIN + panel.width + GAP + drawing.LEGEND_WIDTH + MARGIN, height), PAGE)
    draw = ImageDraw.Draw(page)
    if title:
        drawing.text(draw, (MARGIN, MARGIN + 18), title, drawing.TITLE, INK)
    drawing.text(draw, (MARGIN, top - 14), describe(grid), drawing.BODY, MUTED)
    page.paste(panel, (MARGIN, top))
    drawing.legend(page, (MARGIN + panel.width + GAP, top), shares, [""])
    return page


def check_labels(labels: NDArray[np.uint8], grid: Grid, class_names: Sequence[str]) -> None:
    """Refuse what cannot be drawn.

    Raises:
        PictureError: labels of another type or shape than the grid's, a label with no name, or a class with no colour.
    """
    if not class_names or class_names[-1] != FREE:
        last = repr(class_names[-1]) if class_names else "none"
        raise PictureError(f"the last class is {last}, expected {FREE!r}: pass variants.OCC3D_CLASSES or a like list")
    unknown = [name for name in class_names[:-1] if name not in COLOURS]
    if unknown:
        raise PictureError(f"no colour for class {unknown[0]!r}: the classes with one are {', '.join(COLOURS)}")
    if labels.dtype != np.uint8:
        raise PictureError(
            f"labels are {labels.dtype}, expected uint8: pass class indices as labels.astype(numpy.uint8)"
        )
    if labels.shape != grid.shape:
        raise PictureError(
            f"labels have shape {labels.shape}, and the grid has {grid.shape} voxels along x, y, z: pass the grid that "
            "the labels were made for, without a batch axis"
        )
    highest = int(labels.max(initial=0))
    if highest >= len(class_names):
        raise PictureError(
            f"label {highest} has no name: there are {len(class_names)} classes, 0 to {len(class_names) - 1}; pass the "
            "class names that the labels were made with"
        )


def draw_panel(labels: NDArray[np.uint8], grid: Grid, class_names: Sequence[str], side: int) -> Image.Image:
    """Only the voxels with rings, ego vehicle and scale bar, at most about `side` pixels long."""
    voxel = min(grid.x.step, grid.y.step)
    extent = max(grid.x.size * grid.x.step, grid.y.size * grid.y.step)
    scale = max(1, int(side * voxel / extent + 1e-6)) / voxel  # pixels a metre; whole pixels a voxel
    size = round(grid.y.size * grid.y.step * scale), round(grid.x.size * grid.x.step * scale)
    panel = Image.fromarray(_shaded(labels, grid, class_names)).resize(size, Image.Resampling.NEAREST)
    drawing.overlay(panel, grid, scale)
    ImageDraw.Draw(panel).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=RULE)
    return panel


def class_shares(labels: NDArray[np.uint8], class_names: Sequence[str]) -> dict[str, float]:
    """Share of the occupied voxels by class, for the classes that occur."""
    counts = np.bincount(labels.ravel(), minlength=len(class_names))[:-1]
    total = max(1, int(counts.sum()))
    return {name: float(count) / total for name, count in zip(class_names, counts, strict=False) if count}


def describe(grid: Grid) -> str:
    """The grid in words, as a caption."""
    sizes = " x ".join(f"{size}" for size in grid.shape)
    steps = " x ".join(f"{step:g}" for step in grid.step)
    return f"{sizes} voxels of {steps} m, seen from above"


def topmost(labels: NDArray[np.uint8], class_names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """What a column shows, and how high: label and z index, both [Dx, Dy]; `free` at height -1 where it is empty.

    The topmost voxel that is neither ground nor free; else the topmost ground.
    """
    free = len(class_names) - 1
    is_ground = np.array([name in GROUND for name in class_names])[labels]  # [Dx, Dy, Dz]
    solid = (labels != free) & ~is_ground
    shown = np.where(solid.any(axis=2, keepdims=True), solid, is_ground)
    height = labels.shape[2] - 1 - shown[..., ::-1].argmax(axis=2)  # [Dx, Dy]
    label = np.take_along_axis(labels, height[..., None], axis=2)[..., 0]
    empty = ~shown.any(axis=2)
    return np.where(empty, free, label).astype(np.uint8), np.where(empty, -1, height)


def _shaded(labels: NDArray[np.uint8], grid: Grid, class_names: Sequence[str]) -> NDArray[np.uint8]:
    """One RGB pixel a column [Dx, Dy, 3], turned so that forward is up and left is on the left."""
    label, level = (array[::-1, ::-1] for array in topmost(labels, class_names))
    table = np.array([COLOURS.get(name, PANEL) for name in class_names], np.float32)
    ground = np.array([name in GROUND for name in class_names])[label]
    tall = np.where(ground, 0.0, np.maximum(level, 0) / max(1, grid.z.size - 1))
    metres = (level * grid.z.step).astype(np.float64)
    light = np.where(ground, 1.0, 0.78 + 0.3 * tall) + _relief(metres) * ~ground
    light *= _shadows(metres, (grid.x.step + grid.y.step) / 2)
    light[label == len(class_names) - 1] = 1.0
    return np.clip(table[label] * light[..., None], 0, 255).round().astype(np.uint8)


def _relief(metres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges towards the light are brighter, edges away from it darker: -0.16 to 0.16 [Dx, Dy]."""
    towards = np.clip((metres - _shifted(metres, 1)) / 1.2, -1, 1)
    away = np.clip((metres - _shifted(metres, -1)) / 1.2, -1, 1)
    return 0.08 * towards - 0.08 * away


def _shadows(metres: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Factor of the light [Dx, Dy]: columns up to `_SHADOW_REACH` voxels lower right of something higher are darker."""
    light = np.ones(metres.shape)
    for distance in range(1, _SHADOW_REACH + 1):
        blocked = _shifted(metres, distance) - metres > distance * step * 1.3
        fade = _SHADOW + (1 - _SHADOW) * (distance - 1) / _SHADOW_REACH
        light = np.where(blocked, np.minimum(light, fade), light)
    return light


def _shifted(array: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    """Each cell gets the value `by` rows and columns up and to the left; edges repeat."""
    rows = np.clip(np.arange(array.shape[0]) - by, 0, array.shape[0] - 1)
    columns = np.clip(np.arange(array.shape[1]) - by, 0, array.shape[1] - 1)
    return array[np.ix_(rows, columns)]
