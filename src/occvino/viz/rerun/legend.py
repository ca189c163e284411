"""The legend as an image: Rerun shows the names of classes in its tree of entities, and no colours beside them."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from occvino.viz import drawing
from occvino.viz.palette import COLOURS, DIFFERENCE_COLOURS, GROUPS, INK, PAGE, SOFT, Colour
from occvino.viz.surface import DIFFERENCES

_COLUMN, _ROW, _MARGIN, _SWATCH = 186, 21, 12, 13
_FULL = 9
"""Rows of a column after which the next group begins a new one."""


def legend(class_names: Sequence[str]) -> Image.Image:
    """Names and colours of the classes, in the groups and the order of the pictures, and of the differences."""
    groups: dict[str, Mapping[str, Colour]] = {
        group: {name: COLOURS[name] for name in names if name in class_names} for group, names in GROUPS.items()
    }
    groups["Differences"] = dict(zip(DIFFERENCES, DIFFERENCE_COLOURS, strict=True))
    columns = _columns({group: names for group, names in groups.items() if names})
    height = max(sum(len(names) + 1 for names in column.values()) for column in columns) * _ROW
    image = Image.new("RGB", (len(columns) * _COLUMN + _MARGIN, height + 2 * _MARGIN), PAGE)
    draw = ImageDraw.Draw(image)
    for i, column in enumerate(columns):
        left, y = _MARGIN + i * _COLUMN, _MARGIN
        for group, names in column.items():
            drawing.text(draw, (left, y + drawing.BODY), group, drawing.BODY, INK)
            y += _ROW
            for name, colour in names.items():
                draw.rectangle((left, y + 2, left + _SWATCH - 1, y + 1 + _SWATCH), fill=colour)
                drawing.text(draw, (left + 22, y + drawing.BODY), name.replace("_", " "), drawing.BODY, SOFT)
                y += _ROW
    return image


def _columns(groups: Mapping[str, Mapping[str, Colour]]) -> list[dict[str, Mapping[str, Colour]]]:
    columns: list[dict[str, Mapping[str, Colour]]] = [{}]
    for group, names in groups.items():
        rows = sum(len(there) + 1 for there in columns[-1].values())
        if rows and rows + len(names) > _FULL:
            columns.append({})
        columns[-1][group] = names
    return columns
