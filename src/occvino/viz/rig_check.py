"""A picture that shows whether a calibration is right: the ground and the neighbours drawn into every image.

The rings lie flat on the road, the lines run along the lane and the horizon is where it is in the image - or not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from occvino.geometry.camera import Camera
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, moved, rigid_inverse
from occvino.variant import Variant
from occvino.viz import drawing
from occvino.viz.bev import GAP, MARGIN
from occvino.viz.palette import INK, MUTED, PAGE, PANEL, SOFT, Colour
from occvino.viz.rig_above import SIDE, from_above

_SPACE = 10
_LAYOUTS = ((1, 1, 960), (2, 1, 660), (4, 2, 660), (6, 2, 480), (9, 3, 440), (12, 3, 400))
"""Up to how many cameras, in how many columns, how wide each, pixels: about as high as the view from above."""
_SUPER = 2
_RINGS: dict[float, Colour] = {10.0: (255, 214, 10), 20.0: (255, 149, 0), 40.0: (255, 64, 140)}
"""Metres from the ego origin, on the ground."""
_LANE, _LANE_REACH = 1.75, 60.0
"""Metres to each side of the ego's x axis, and along it."""
_LANE_COLOUR, _HORIZON_COLOUR = (255, 255, 255), (90, 200, 250)
_AXES: tuple[tuple[str, Colour], ...] = (("x", (255, 69, 58)), ("y", (48, 209, 88)), ("z", (10, 132, 255)))
_AXIS_LENGTH, _AXES_AT = 2.0, 10.0
_FAR = 1e5
"""Metres at which the ground is as good as the horizon."""
_EDGE_AT = 15.0
"""Metres from a camera at which its edges of view are shown in its neighbours' images."""
_BESIDE = 0.35
"""How far outside of the image, over its size, a line is still followed."""

Points: TypeAlias = Matrix


def rig_picture(
    rig: Rig, images: Mapping[str, Image.Image], variant: Variant, notes: Sequence[str] = (), *, title: str = "rig"
) -> Image.Image:
    """The images with what the calibration says of them, and the frustums from above.

    On each image: rings on the ground at 10, 20 and 40 m from the ego origin, lines 1.75 m beside the vehicle's path,
    the horizon, the ego axes 10 m away on the ground, and the edges of view of the other cameras, 15 m from them, in
    their colours. From above: the frustums in the cameras' colours over the number of points in each cell of the grid.

    Args:
        rig: of one frame.
        images: by camera name; a camera without one is drawn on grey.
        variant: the model whose grid and feature pixels are meant.
        notes: lines under the picture.
        title: above it.

    Raises:
        RigError: an image does not fit the variant.
    """
    colours = dict(zip(rig.names, _colours(len(rig)), strict=True))
    _, columns, width = next(layout for layout in _LAYOUTS if len(rig) <= layout[0])
    cells = [_annotated(camera, images.get(camera.name), rig, colours, width) for camera in rig.cameras]
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    sheet = columns * (width + _SPACE) - _SPACE
    above = from_above(rig, variant, colours)
    lines = [line for note in notes for line in _wrapped(note, sheet + GAP + SIDE)]
    content = max(sum(heights) + _SPACE * (len(rows) - 1), above.height)
    top = MARGIN + 62
    page = Image.new("RGB", (2 * MARGIN + sheet + GAP + SIDE, top + content + 28 + 20 * len(lines) + MARGIN), PAGE)
    draw = ImageDraw.Draw(page)
    heading = drawing.shortened(title, drawing.TITLE, page.width - 2 * MARGIN)
    drawing.text(draw, (MARGIN, MARGIN + 18), heading, drawing.TITLE, INK)
    _key(draw, (MARGIN, MARGIN + 44))
    y = top
    for row, height in zip(rows, heights, strict=True):
        for index, cell in enumerate(row):
            page.paste(cell, (MARGIN + index * (width + _SPACE), y))
        y += height + _SPACE
    page.paste(above, (MARGIN + sheet + GAP, top))
    for index, line in enumerate(lines):
        drawing.text(draw, (MARGIN, top + content + 34 + 20 * index), line, drawing.BODY, SOFT)
    return page


def _colours(count: int) -> list[Colour]:
    """Well apart on the colour circle."""
    found: list[Colour] = []
    for index in range(count):
        hue = Image.new("HSV", (1, 1), (round(255 * index / count), 140, 245)).convert("RGB").getpixel((0, 0))
        assert isinstance(hue, tuple)
        found.append((int(hue[0]), int(hue[1]), int(hue[2])))
    return found


def _key(draw: ImageDraw.ImageDraw, at: tuple[float, float]) -> None:
    whole: list[tuple[tuple[Colour, ...], str]] = [
        *(((colour,), f"{metres:g} m on the ground") for metres, colour in _RINGS.items()),
        ((_LANE_COLOUR,), f"{_LANE:g} m beside the vehicle's x axis"),
        ((_HORIZON_COLOUR,), "horizon"),
        (tuple(colour for _, colour in _AXES), f"ego axes x, y, z, {_AXES_AT:g} m away"),
    ]
    x, y = at
    for colours, words in whole:
        x = _key_words(draw, (_key_lines(draw, (x, y), colours, 14), y), words)
    _key_words(draw, (_key_lines(draw, (x, y), (MUTED,) * 3, 5), y), "edge of another camera's view, in its colour")


def _key_lines(draw: ImageDraw.ImageDraw, at: tuple[float, float], colours: Sequence[Colour], length: int) -> float:
    """Short lines side by side; returns where they end."""
    x, y = at
    for colour in colours:
        draw.rectangle((x, y - 6, x + length, y - 3), fill=colour)
        x += length + 3
    return x


def _key_words(draw: ImageDraw.ImageDraw, at: tuple[float, float], words: str) -> float:
    """The words beside them; returns where the next lines begin."""
    drawing.text(draw, (at[0] + 4, at[1]), words, drawing.SMALL, SOFT)
    return at[0] + 28 + drawing.text_width(words, drawing.SMALL)


def _annotated(
    camera: Camera, image: Image.Image | None, rig: Rig, colours: Mapping[str, Colour], width: int
) -> Image.Image:
    """The image of a camera, `width` pixels wide, with the lines on it and a frame in its colour."""
    height = max(1, round(width * camera.height / camera.width))
    size = width * _SUPER, height * _SUPER
    canvas = Image.new("RGB", size, PANEL) if image is None else image.convert("RGB").resize(size)
    draw = ImageDraw.Draw(canvas)
    scale = size[0] / camera.width
    for points, colour, dashed in _lines(camera, rig, colours):
        _stroke(draw, _pixels(camera, points, scale), colour, dashed=dashed)
    for name, colour, end in _axis_ends(camera):
        at = _pixels(camera, end[None], scale)[0]
        if np.isfinite(at).all():
            drawing.text(draw, (float(at[0]), float(at[1]) - 4 * _SUPER), name, drawing.BODY * _SUPER, colour, "ms")
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=colours[camera.name], width=3 * _SUPER)
    cell = canvas.resize((width, height), Image.Resampling.BOX)
    words = camera.name if image is not None else f"{camera.name} (no image given)"
    drawing.tag(cell, (8, height - 8), drawing.shortened(words, drawing.SMALL, width - 32))
    return cell


def _lines(camera: Camera, rig: Rig, colours: Mapping[str, Colour]) -> Iterable[tuple[Points, Colour, bool]]:
    """Points in the ego frame [K, 3], colour, and whether the line is dashed."""
    turn = np.linspace(0, 2 * np.pi, 721)
    circle = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=1)
    for other in rig.cameras:
        if other is not camera:
            for edge in _edges(other):
                yield edge, colours[other.name], True
    for radius, colour in _RINGS.items():
        yield radius * circle, colour, False
    along = np.linspace(-_LANE_REACH, _LANE_REACH, 481)
    for side in (-_LANE, _LANE):
        yield np.stack([along, np.full_like(along, side), np.zeros_like(along)], axis=1), _LANE_COLOUR, False
    yield _FAR * circle + [0, 0, camera.sensor2ego[2, 3]], _HORIZON_COLOUR, False
    foot = _axes_at(camera)
    for _, colour, end in _axis_ends(camera):
        yield foot + np.linspace(0, 1, 20)[:, None] * (end - foot), colour, False


def _axes_at(camera: Camera) -> Matrix:
    """On the ground along the camera's axis."""
    ahead = camera.sensor2ego[:2, 2] / max(float(np.linalg.norm(camera.sensor2ego[:2, 2])), 1e-6)
    return np.array([*(camera.sensor2ego[:2, 3] + _AXES_AT * ahead), 0.0])


def _axis_ends(camera: Camera) -> Iterable[tuple[str, Colour, Matrix]]:
    for index, (name, colour) in enumerate(_AXES):
        yield name, colour, _axes_at(camera) + _AXIS_LENGTH * np.eye(3)[index]


def _edges(camera: Camera) -> list[Points]:
    """The left and right edge of a camera's image, `_EDGE_AT` metres away, in the ego frame."""
    rows = np.linspace(-0.5, camera.height - 0.5, 60)
    found: list[Points] = []
    for column in (-0.5, camera.width - 0.5):
        rays = camera.rays(np.stack([np.full_like(rows, column), rows], axis=1))
        found.append(moved(rays * _EDGE_AT, camera.sensor2ego))
    return found


def _pixels(camera: Camera, points: Points, scale: float) -> Matrix:
    """Pixels [K, 2] of the scaled image of points of the ego frame [K, 3]; NaN where the camera cannot see them.

    Whole numbers are the centres of pixels, in the raw image and in the scaled one.
    """
    seen = moved(points, rigid_inverse(camera.sensor2ego))
    if camera.lens is not None:
        slopes = camera.lens.placed(seen)
    else:
        seen[seen[:, 2] < 0.05] = np.nan
        slopes = seen[:, :2] / seen[:, 2:]
    pixels = slopes @ camera.intrinsics[:2, :2].T + camera.intrinsics[:2, 2]
    size = np.array([camera.width, camera.height])
    inside = (pixels >= -_BESIDE * size) & (pixels <= (1 + _BESIDE) * size)
    pixels[~inside.all(axis=1)] = np.nan
    return (pixels + 0.5) * scale - 0.5


def _stroke(draw: ImageDraw.ImageDraw, points: Matrix, colour: Colour, *, dashed: bool) -> None:
    """Draw a line through the points, with gaps where they are NaN."""
    travelled = np.concatenate([[0.0], np.nancumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    whole = np.isfinite(points[:, 0])
    for index in np.flatnonzero(whole[:-1] & whole[1:]):
        if not dashed or int(travelled[index] / (9 * _SUPER)) % 2 == 0:
            draw.line((*points[index], *points[index + 1]), fill=colour, width=2 * _SUPER)


def _wrapped(words: str, width: int) -> list[str]:
    """Lines that are no wider than that, pixels."""
    lines: list[str] = []
    for paragraph in words.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and drawing.text_width(longer, drawing.BODY) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines
