"""The grid from above: what the cameras of a rig see of it."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from occvino.geometry.camera import Camera
from occvino.geometry.lift import OUTSIDE, cells_of_points
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import moved
from occvino.variant import Variant
from occvino.viz import drawing
from occvino.viz.palette import PANEL, Colour

SIDE = 800
"""Pixels across."""
_SUPER = 2
_TAG_HEIGHT = drawing.SMALL + 12
_BRIGHTEST = 150, 160, 170


def from_above(rig: Rig, variant: Variant, colours: Mapping[str, Colour]) -> Image.Image:
    """Points in each cell as brightness, and the frustums in the cameras' colours; forward up, left on the left.

    Raises:
        RigError: an image does not fit the variant.
    """
    grid = variant.lift_grid
    calibration = rig.calibration(variant)
    cell = cells_of_points(calibration, variant)
    plane = grid.shape[0] * grid.shape[1]
    counts = np.bincount(cell[cell != OUTSIDE] % plane, minlength=plane)
    seen = counts[np.flatnonzero(counts)]
    many = max(float(np.quantile(seen, 0.98)), 1.0) if seen.size else 1.0
    bright = np.sqrt(np.minimum(counts / many, 1)).reshape(grid.shape[1], grid.shape[0])
    shade = np.flip(bright.T, (0, 1))[..., None]  # [x down from ahead, y from the left]
    tones = np.array(PANEL) + shade * (np.array(_BRIGHTEST) - np.array(PANEL))
    scale = SIDE / (grid.y.upper - grid.y.lower)
    size = SIDE, round((grid.x.upper - grid.x.lower) * scale)
    panel = Image.fromarray(tones.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    for camera in rig.cameras:
        _frustum(panel, camera, variant, scale, colours[camera.name])
    drawing.overlay(panel, grid, scale)
    _names(panel, rig, scale, variant)
    most = int(counts.max())
    words = f"frustum points in each cell: 0 to {most}; {seen.size / plane:.0%} of the cells have some"
    drawing.tag(panel, (size[0] - 10, size[1] - 10), words, anchor="rb")
    return panel


def _frustum(panel: Image.Image, camera: Camera, variant: Variant, scale: float, colour: Colour) -> None:
    """The wedge that the image's middle row sees, up to the farthest depth bin."""
    columns = np.linspace(0, camera.width - 1, 41)
    rays = camera.rays(np.stack([columns, np.full_like(columns, camera.height / 2)], axis=1))
    rays = rays[(rays[:, 2] > 0.02)]
    far = variant.depths()[-1]
    tip = camera.sensor2ego[:3, 3]
    edge = moved(rays / np.maximum(rays[:, 2:], 0.2) * far, camera.sensor2ego)
    outline = np.concatenate([tip[None], edge, tip[None]])
    grid = variant.lift_grid
    pixels = np.stack([grid.y.upper - outline[:, 1], grid.x.upper - outline[:, 0]], axis=1) * scale
    big = Image.new("RGBA", (panel.width * _SUPER, panel.height * _SUPER))
    draw = ImageDraw.Draw(big)
    corners = [(float(u) * _SUPER, float(v) * _SUPER) for u, v in pixels]
    draw.polygon(corners, fill=(*colour, 38))
    draw.line(corners, fill=(*colour, 235), width=2 * _SUPER)
    layer = big.resize(panel.size, Image.Resampling.BOX)
    panel.paste(layer, (0, 0), layer)


def _names(panel: Image.Image, rig: Rig, scale: float, variant: Variant) -> None:
    """The cameras' names along their axes; lower where another name is in the way."""
    grid, taken = variant.lift_grid, list[tuple[int, int, int]]()
    for camera in rig.cameras:
        words = drawing.shortened(camera.name, drawing.SMALL, panel.width // 3)
        half = round(drawing.text_width(words, drawing.SMALL)) // 2 + 8
        x, y = _spot(camera, scale, grid.x.upper, grid.y.upper, 0.62 * min(grid.x.upper, grid.y.upper))
        x = min(max(x, half + 4), panel.width - half - 4)
        y = min(max(y, _TAG_HEIGHT), panel.height - _TAG_HEIGHT)
        while any(abs(x - at) < half + wide and abs(y - down) < _TAG_HEIGHT for at, down, wide in taken):
            y += _TAG_HEIGHT
        taken.append((x, y, half))
        drawing.tag(panel, (x, y), words, anchor="mm")


def _spot(camera: Camera, scale: float, ahead: float, left: float, distance: float) -> tuple[int, int]:
    """Where a camera's name stands: along its axis."""
    level = camera.sensor2ego[:2, 2] / max(float(np.linalg.norm(camera.sensor2ego[:2, 2])), 1e-6)
    x, y = camera.sensor2ego[:2, 3] + distance * level
    return round((left - y) * scale), round((ahead - x) * scale)
