"""One page: the camera images, and the occupancy that was made of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from occvino.files import atomic_file
from occvino.variant import NUSCENES_CAMERAS, Grid
from occvino.viz import drawing
from occvino.viz.bev import GAP, MARGIN, check_labels, class_shares, describe, draw_panel
from occvino.viz.palette import INK, MUTED, PAGE, SOFT, PictureError

Picture: TypeAlias = NDArray[np.uint8] | Image.Image

_COLUMNS = 3
_SPACE = 8
_STRIP_WIDTH = 1200
_PANEL_SIDES = {1: 800, 2: 600}


def camera_strip(images: Sequence[Picture], names: Sequence[str], *, width: int = _STRIP_WIDTH) -> Image.Image:
    """A contact sheet with three images a row, each with its camera's name.

    The nuScenes cameras stand where they look: front left, front, front right over back left, back, back right. Other
    names keep their order.

    Args:
        images: one a camera, u8 [H, W, 3] RGB or a Pillow image; all are shown in the proportions of the first.
        names: the cameras' names, as `CAM_FRONT_LEFT`.
        width: of the sheet, pixels.

    Raises:
        PictureError: no image, not as many names as images, or an array that is no RGB image.
    """
    if not images or len(images) != len(names):
        raise PictureError(f"{len(images)} images and {len(names)} names: pass one name an image, and at least one")
    by_name = {name: _as_image(image, name) for image, name in zip(images, names, strict=True)}
    if len(by_name) != len(names):
        raise PictureError(f"a camera is named twice in {', '.join(names)}: give each image its own name")
    if set(by_name) <= set(NUSCENES_CAMERAS):
        by_name = {name: by_name[name] for name in NUSCENES_CAMERAS if name in by_name}
    cell = (width - _SPACE * (_COLUMNS - 1)) // _COLUMNS
    first = next(iter(by_name.values()))
    height = max(1, round(cell * first.height / first.width))
    rows = -(-len(by_name) // _COLUMNS)
    sheet = Image.new("RGB", (width, rows * (height + _SPACE) - _SPACE), PAGE)
    for i, (name, image) in enumerate(by_name.items()):
        left, top = i % _COLUMNS * (cell + _SPACE), i // _COLUMNS * (height + _SPACE)
        sheet.paste(image.resize((cell, height), Image.Resampling.LANCZOS), (left, top))
        drawing.tag(sheet, (left + 8, top + height - 8), _spoken(name))
    return sheet


def compose(
    cameras: Mapping[str, Picture],
    volumes: Mapping[str, NDArray[np.uint8]],
    grid: Grid,
    class_names: Sequence[str],
    *,
    title: str | None = None,
    subtitle: str | None = None,
) -> Image.Image:
    """One figure: the cameras on top, one or two label volumes from above under them, and one legend for both.

    Args:
        cameras: camera name -> image, u8 [H, W, 3] RGB or a Pillow image.
        volumes: caption -> labels u8 [Dx, Dy, Dz], indexed [x, y, z], ego frame; as `{"Truth": a, "Predicted": b}`.
        grid: where the voxels lie, in metres.
        class_names: the name of each label; the last is `free`.
        title: the figure's heading.
        subtitle: a quieter line under it.

    Raises:
        PictureError: not one or two volumes, or something in them or the images that cannot be drawn.
    """
    if len(volumes) not in _PANEL_SIDES:
        raise PictureError(f"{len(volumes)} label volumes: a figure takes one or two, make several figures for more")
    for labels in volumes.values():
        check_labels(labels, grid, class_names)
    side = _PANEL_SIDES[len(volumes)]
    panels = {caption: draw_panel(labels, grid, class_names, side) for caption, labels in volumes.items()}
    shares = [class_shares(labels, class_names) for labels in volumes.values()]
    content = sum(panel.width + GAP for panel in panels.values()) + drawing.LEGEND_WIDTH
    strip = camera_strip(list(cameras.values()), list(cameras), width=content)
    strip_top = MARGIN + (36 if title else 0) + (22 if subtitle else 0)
    panel_top = strip_top + strip.height + GAP + 22
    tallest = max(*(panel.height for panel in panels.values()), drawing.legend_height(shares))
    page = Image.new("RGB", (content + 2 * MARGIN, panel_top + tallest + MARGIN), PAGE)
    draw = ImageDraw.Draw(page)
    if title:
        drawing.text(draw, (MARGIN, MARGIN + 18), title, drawing.TITLE, INK)
    if subtitle:
        drawing.text(draw, (MARGIN, strip_top - 14), subtitle, drawing.BODY, MUTED)
    page.paste(strip, (MARGIN, strip_top))
    left = MARGIN
    for caption, panel in panels.items():
        drawing.text(draw, (left, panel_top - 12), caption, drawing.HEADING, SOFT)
        room = panel.width - drawing.text_width(caption, drawing.HEADING) - GAP
        if drawing.text_width(describe(grid), drawing.SMALL) < room:
            drawing.text(draw, (left + panel.width, panel_top - 12), describe(grid), drawing.SMALL, MUTED, "rs")
        page.paste(panel, (left, panel_top))
        left += panel.width + GAP
    drawing.legend(page, (left, panel_top), shares, ["left", "right"] if len(shares) == 2 else [""])
    return page


def save_picture(picture: Image.Image, path: str | Path) -> None:
    """Write a PNG, under a temporary name first.

    Raises:
        OutputError: the folder cannot be written to.
    """
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG")


def _as_image(image: Picture, name: str) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise PictureError(f"{name}: the image is {image.dtype} {image.shape}, expected uint8 (height, width, 3), RGB")
    return Image.fromarray(image)


def _spoken(name: str) -> str:
    """`CAM_FRONT_LEFT` as people say it."""
    return name.removeprefix("CAM_").replace("_", " ").capitalize()
