"""Type, rings, ego marker, scale bar and legend: what is drawn over and beside the voxels.

Positions are pixels of the picture that is drawn on; anchors are Pillow's ("ls" is the left end of the baseline).
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from occvino.variant import Grid
from occvino.viz.palette import COLOURS, GROUPS, INK, MUTED, PAGE, RULE, SOFT, Colour

TITLE, HEADING, BODY, SMALL = 26, 17, 14, 12
LEGEND_WIDTH = 252
_ROW = 24
_SWATCH = 13
_SUPER = 4
"""Overlays are drawn that many times larger and averaged: Pillow's own lines have no smooth edges."""

_PLAIN = str.maketrans({"×": "x", "–": "-", "—": "-", "…": "...", "’": "'", "→": ">"})
"""Characters that people put in titles and the bundled font lacks."""

EGO_LENGTH, EGO_WIDTH, EGO_REAR = 4.6, 1.9, 1.0
"""The ego vehicle in metres; its origin lies on the rear axle, `EGO_REAR` before the rear bumper."""


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], words: str, size: int, fill: Colour = INK, anchor: str = "ls"
) -> None:
    """Write one line with the font that comes with Pillow."""
    draw.text(at, words.translate(_PLAIN), font=_font(size), fill=fill, anchor=anchor)


def text_width(words: str, size: int) -> float:
    """Width of one line, pixels."""
    return _font(size).getlength(words.translate(_PLAIN))


def shortened(words: str, size: int, width: float) -> str:
    """Words that are no wider than that, pixels: with dots in the middle, since names differ at their ends."""
    kept = len(words)
    short = words
    while kept > 2 and text_width(short, size) > width:
        kept -= 1
        short = f"{words[: kept - kept // 2]}...{words[-(kept // 2) :]}"
    return short


def tag(image: Image.Image, at: tuple[int, int], words: str, *, anchor: str = "lb") -> None:
    """Small words on a dark see-through plate; `anchor` says which corner or middle of the plate is `at`."""
    width, height = round(text_width(words, SMALL)) + 14, SMALL + 10
    left = at[0] - {"l": 0, "m": width // 2, "r": width}[anchor[0]]
    top = at[1] - {"t": 0, "m": height // 2, "b": height}[anchor[1]]
    _plate(image, (left, top), (width, height))
    text(ImageDraw.Draw(image), (left + width / 2, top + height / 2 + 4), words, SMALL, INK, "ms")


def _plate(image: Image.Image, at: tuple[int, int], size: tuple[int, int]) -> None:
    plate = Image.new("RGBA", (size[0] * _SUPER, size[1] * _SUPER))
    corner = size[0] * _SUPER - 1, size[1] * _SUPER - 1
    ImageDraw.Draw(plate).rounded_rectangle(((0, 0), corner), radius=5 * _SUPER, fill=(*PAGE, 190))
    plate = plate.resize(size, Image.Resampling.BOX)
    image.paste(plate, at, plate)


def overlay(panel: Image.Image, grid: Grid, scale: float) -> None:
    """Rings around the ego origin, the ego vehicle and a scale bar, over a picture of `scale` pixels a metre."""
    layer = _lines(panel.size, grid, scale)
    panel.paste(layer, (0, 0), layer)
    centre_x, centre_y = grid.y.upper * scale, grid.x.upper * scale
    radii = _rings(grid)
    slant = 0.7071 * scale
    for radius in radii:
        at = round(centre_x + radius * slant), round(centre_y + radius * slant)
        if 24 < at[0] < panel.width - 24 and 14 < at[1] < panel.height - 14:
            tag(panel, at, f"{radius:g} m", anchor="mm")
    _scale_bar(panel, radii[0] if radii else 1.0, scale)


@lru_cache(maxsize=4)
def _lines(size: tuple[int, int], grid: Grid, scale: float) -> Image.Image:
    """Rings and ego vehicle on nothing; kept, since averaging it takes longer than all else in a picture."""
    layer = Image.new("RGBA", (size[0] * _SUPER, size[1] * _SUPER))
    draw = ImageDraw.Draw(layer)
    x, y = grid.y.upper * scale * _SUPER, grid.x.upper * scale * _SUPER
    for radius in _rings(grid):
        r = radius * scale * _SUPER
        draw.ellipse((x - r, y - r, x + r, y + r), outline=(255, 255, 255, 84), width=_SUPER)
    _ego(draw, x, y, scale * _SUPER)
    return layer.resize(size, Image.Resampling.BOX)


def _rings(grid: Grid) -> list[float]:
    """Radii in metres: at most five, a round distance apart, within the grid's largest reach."""
    reach = max(grid.x.upper, -grid.x.lower, grid.y.upper, -grid.y.lower)
    step = next((step for step in (1, 2, 5, 10, 20, 50, 100) if reach / step <= 5), reach)
    return [step * i for i in range(1, int(reach / step + 1e-6) + 1)]


def _ego(draw: ImageDraw.ImageDraw, x: float, y: float, scale: float) -> None:
    """The ego vehicle to scale, nose up."""

    def at(forward: float, left: float) -> tuple[float, float]:
        return x - left * scale, y - forward * scale

    nose, tail, side = EGO_LENGTH - EGO_REAR, -EGO_REAR, EGO_WIDTH / 2
    draw.polygon([at(nose + 2.3, 0.0), at(nose + 0.9, 0.8), at(nose + 0.9, -0.8)], fill=(*INK, 255))
    for grow, fill in ((0.16, (*PAGE, 255)), (0.0, (*INK, 255))):
        corners = [at(nose + grow, side + grow), at(tail - grow, -side - grow)]
        draw.rounded_rectangle(corners, radius=(0.55 + grow) * scale, fill=fill)
    glass = (*RULE, 255)
    draw.polygon([at(2.35, 0.72), at(2.35, -0.72), at(1.55, -0.6), at(1.55, 0.6)], fill=glass)
    draw.polygon([at(-0.55, 0.68), at(-0.55, -0.68), at(-0.05, -0.58), at(-0.05, 0.58)], fill=glass)


def _scale_bar(panel: Image.Image, metres: float, scale: float) -> None:
    """A bar of `metres`, in the lower left corner."""
    length, left, base = round(metres * scale), 24, panel.height - 24
    words = f"{metres:g} m"
    _plate(panel, (left - 12, base - 28), (length + 24, 40))
    draw = ImageDraw.Draw(panel)
    draw.rectangle((left, base, left + length - 1, base + 2), fill=INK)
    for end in (left, left + length - 2):
        draw.rectangle((end, base - 4, end + 1, base + 2), fill=INK)
    text(draw, (left + length / 2, base - 9), words, SMALL, INK, "ms")


def legend_height(shares: Sequence[Mapping[str, float]]) -> int:
    """How many pixels `legend` takes."""
    groups = _present(shares)
    return sum(_ROW * (len(names) + 1) + 12 for names in groups.values()) + (_ROW + 6)


def legend(
    image: Image.Image, at: tuple[int, int], shares: Sequence[Mapping[str, float]], heads: Sequence[str]
) -> None:
    """The classes that occur, with their share of the occupied voxels: one column of figures for each of `shares`."""
    draw = ImageDraw.Draw(image)
    left, y = at
    right = left + LEGEND_WIDTH
    columns = [right - 62 * (len(shares) - 1 - i) for i in range(len(shares))]
    groups = _present(shares)
    text(draw, (left, y + SMALL), "Share of occupied voxels" if groups else "All voxels are free", SMALL, MUTED)
    for column, head in zip(columns, heads, strict=True):
        text(draw, (column, y + SMALL), head, SMALL, MUTED, "rs")
    y += _ROW + 6
    for group, names in groups.items():
        text(draw, (left, y + BODY), group, BODY, INK)
        draw.line((left, y + _ROW - 3, right, y + _ROW - 3), fill=RULE)
        y += _ROW
        for name in names:
            base = y + 18
            draw.rectangle((left, base - _SWATCH + 2, left + _SWATCH - 1, base + 1), fill=COLOURS[name])
            text(draw, (left + _SWATCH + 10, base), name.replace("_", " "), BODY, SOFT)
            for column, share in zip(columns, shares, strict=True):
                text(draw, (column, base), _percent(share.get(name, 0.0)), BODY, SOFT, "rs")
            y += _ROW
        y += 12


def _present(shares: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """Class names that occur in any of the label volumes, by group; groups with none are left out."""
    groups = {
        group: [name for name in names if any(share.get(name, 0) > 0 for share in shares)]
        for group, names in GROUPS.items()
    }
    return {group: names for group, names in groups.items() if names}


def _percent(share: float) -> str:
    if share == 0:
        return "-"
    return "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
