"""The command `occvino rig show`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from occvino.cli.console import out, print_json, say
from occvino.cli.options import Json
from occvino.cli.rig_notes import notes_as_json, notes_of
from occvino.geometry.doubts import doubts_of_rig
from occvino.geometry.mistakes import mistakes
from occvino.geometry.rig import Rig
from occvino.geometry.views import Gap, Overlap, View, gaps, overlaps, views

_WIDTHS = {"height": 7, "yaw": 7, "pitch": 7, "roll": 7, "view": 9, "ground": 8}
_LONGEST = 34
"""Characters of a name that leave room for its figures in 80 columns; a longer one has a line of its own."""
_SIDES = ("ahead", "ahead on the left", "on the left", "behind on the left", "behind", "behind on the right",
          "on the right", "ahead on the right")  # fmt: skip


def show(rig: Annotated[Path, typer.Argument(help="Rig file.")], as_json: Json = False) -> None:
    """Show where cameras sit, where they look, and what they see.

    Lenses are followed. Doubts about the rig are told at the end; `occvino rig check` draws them.

    Example: occvino rig show rig.json
    """
    loaded = Rig.load(rig)
    seen, shared, missed = views(loaded), overlaps(loaded), gaps(loaded)
    found = doubts_of_rig(loaded)
    likely = mistakes(loaded, found)
    if as_json:
        cameras = [asdict(view) | {"above_ground": view.above_ground} for view in seen]
        both = {"overlaps": [asdict(each) for each in shared], "gaps": [asdict(each) for each in missed]}
        print_json({"rig": str(rig), "cameras": cameras, **both, **notes_as_json(found, likely)})
        return
    _print_views(out, seen)
    say("\n".join(["", *_told_overlaps(shared), *_told_ring(seen, missed)]))
    if notes := notes_of(found, likely):
        say("\n".join(["", "doubts about this rig:", *(f"  {note}" for note in notes)]))


def _print_views(console: Console, seen: Sequence[View]) -> None:
    """The cameras, two lines each: the name, whole at any width, with its figures, and under it what it is."""
    width = max(len(name) for name in ("camera", *(view.name for view in seen)) if len(name) <= _LONGEST)
    _print_line(console, "camera".ljust(width), tuple(_WIDTHS), "underline")
    for view in seen:
        if len(view.name) > _LONGEST:
            console.print(Text(view.name, "bold"), soft_wrap=True)
        short = view.name if len(view.name) <= _LONGEST else ""
        _print_line(console, short.ljust(width), _figures(view), "bold")
        console.print(Text(f"  {_mounting(view)}", "dim"), soft_wrap=True)
    console.print(
        "\nheight: m above the ground. yaw: degrees to the left of ahead; pitch: down; roll: clockwise. view: degrees "
        "across and down the image's middle. ground: m from below the camera to the first ground in the middle column.",
        highlight=False,
    )


def _print_line(console: Console, name: str, figures: Sequence[str], style: str) -> None:
    cells = "".join(figure.rjust(width) for figure, width in zip(figures, _WIDTHS.values(), strict=True))
    of_heads = style if style == "underline" else ""
    console.print(Text.assemble((name, style), (cells, of_heads)), soft_wrap=True)


def _figures(view: View) -> tuple[str, ...]:
    yaw, pitch, roll = (f"{round(angle, 1) + 0.0:.1f}" for angle in (view.yaw, view.pitch, view.roll))
    if view.azimuths is None:  # it looks to no side
        yaw = roll = "-"
    ground = "none" if view.ground is None else f"{view.ground:.1f}"
    return (f"{view.above_ground:.2f}", yaw, pitch, roll, f"{view.horizontal:.0f}x{view.vertical:.0f}", ground)


def _mounting(view: View) -> str:
    x, y, _ = view.place
    along = f"{abs(x):.2f} m {'ahead' if x >= 0 else 'behind'}"
    across = f"{abs(y):.2f} m {'left' if y >= 0 else 'right'}"
    lens = f"{view.lens} lens" if view.lens else "no lens"
    return f"{view.width}x{view.height}, {lens}, {along} and {across} of the ego origin"


def _told_overlaps(shared: Sequence[Overlap]) -> list[str]:
    if not shared:
        return []
    pairs = (f"{_degrees(each.degrees):>6}  {' and '.join(each.cameras)}" for each in shared)
    return ["overlaps of neighbours far away, in degrees of azimuth:", *pairs]


def _told_ring(seen: Sequence[View], missed: Sequence[Gap]) -> list[str]:
    steep = [view.name for view in seen if view.azimuths is None]
    lines = [f"not in the ring, since more than 60 degrees up or down: {', '.join(steep)}"] if steep else []
    if len(steep) == len(seen):
        return lines
    if not missed:
        return [*lines, "the ring has no gap"]
    return [*lines, f"the ring has {'a gap' if len(missed) == 1 else 'gaps'}: {'; '.join(map(_told_gap, missed))}"]


def _told_gap(gap: Gap) -> str:
    one, other = gap.cameras
    side = _SIDES[round(sum(gap.azimuths) / 2 / 45) % 8]
    between = f"outside of the view of {one}" if one == other else f"between {one} and {other}"
    return f"{_degrees(gap.degrees)} degrees {between}, {side}"


def _degrees(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"
