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

SAFE_COLOURS: dict[str, Colour] = {
    "car": (102, 187, 255),
    "truck": (187, 0, 255),
    "bus": (255, 255, 51),
    "trailer": (153, 68, 119),
    "construction_vehicle": (153, 221, 221),
    "motorcycle": (238, 153, 34),
    "bicycle": (238, 204, 136),
    "pedestrian": (187, 0, 0),
    "traffic_cone": (187, 255, 255),
    "barrier": (204, 102, 0),
    "others": (153, 136, 187),
    "manmade": (187, 170, 187),
    "vegetation": (34, 153, 102),
    "driveable_surface": (102, 34, 187),
    "other_flat": (102, 102, 187),
    "sidewalk": (119, 34, 119),
    "terrain": (0, 102, 51),
}
"""Colours by class name that people with any of the three colour blindnesses can tell apart: found by a search near
`COLOURS` for the largest smallest distance (a test measures it)."""

DIFFERENCE_COLOURS: tuple[Colour, Colour, Colour] = ((240, 70, 70), (70, 150, 255), (250, 200, 60))
"""Of what is missed, invented and of another class."""
SAFE_DIFFERENCES: tuple[Colour, Colour, Colour] = ((213, 94, 0), (86, 180, 233), (240, 228, 66))
"""The same for the colour-blind. Source: Okabe and Ito, "Color Universal Design" (2008)."""


class PictureError(OccvinoError, ValueError):
    """Labels, names or images that cannot be drawn."""
