"""Colours of classes and of the page: one dark theme for every picture.

The hues are those that the field knows classes by (cars blue, pedestrians red, road magenta); ground is muted so that
what stands on it is seen first.
"""

from typing import TypeAlias

from occvino.errors import OccvinoError

Colour: TypeAlias = tuple[int, int, int]

PAGE: Colour = (16, 18, 23)
PANEL: Colour = (25, 28, 35)
RULE: Colour = (52, 57, 68)
INK: Colour = (236, 239, 244)
SOFT: Colour = (186, 192, 203)
MUTED: Colour = (128, 136, 150)

FREE = "free"

GROUPS: dict[str, dict[str, Colour]] = {
    "Objects": {
        "car": (38, 145, 240),
        "truck": (158, 74, 232),
        "bus": (250, 211, 58),
        "trailer": (156, 92, 52),
        "construction_vehicle": (52, 206, 214),
        "motorcycle": (205, 172, 40),
        "bicycle": (250, 168, 190),
        "pedestrian": (242, 60, 62),
        "traffic_cone": (255, 232, 150),
        "barrier": (252, 128, 62),
        "others": (158, 163, 172),
    },
    "Surroundings": {
        "manmade": (172, 176, 200),
        "vegetation": (58, 156, 72),
    },
    "Ground": {
        "driveable_surface": (110, 62, 112),
        "other_flat": (112, 106, 104),
        "sidewalk": (66, 46, 88),
        "terrain": (104, 128, 70),
    },
}
"""Colours by class name, in the groups and the order of the legend."""

COLOURS: dict[str, Colour] = {name: colour for group in GROUPS.values() for name, colour in group.items()}
GROUND = frozenset(GROUPS["Ground"])


class PictureError(OccvinoError, ValueError):
    """Labels, names or images that cannot be drawn."""
