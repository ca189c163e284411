"""The command `occvino rig show`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from occvino.cli.console import out, print_json, say
from occvino.cli.options import Json
from occvino.geometry.doubts import doubts_of_rig, told_doubts, told_mistakes
from occvino.geometry.mistakes import mistakes
from occvino.geometry.rig import Rig
from occvino.geometry.views import View, gaps, overlaps, views


def show(rig: Annotated[Path, typer.Argument(help="Rig file.")], as_json: Json = False) -> None:
    """Say where the cameras of a rig are, where they look and what they see.

    Example: occvino rig show rig.json
    """
    loaded = Rig.load(rig)
    found = views(loaded)
    doubts = doubts_of_rig(loaded)
    if as_json:
        print_json(
            {
                "cameras": [view.to_dict() for view in found],
                "overlaps": [{"cameras": each.cameras, "degrees": each.width} for each in overlaps(loaded)],
                "gaps": [{"between": each.cameras, "degrees": each.width} for each in gaps(loaded)],
                "doubts": [{"camera": each.camera, "kind": each.kind, "words": each.words} for each in doubts],
            }
        )
        return
    out.print(_table(found))
    say("\n".join(_ring(loaded)))
    if doubts:
        likely = told_mistakes(mistakes(loaded, doubts))
        say(f"doubts:{told_doubts(doubts)}" + (f"\n{likely}" if likely else ""))


def _table(found: list[View]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("camera", no_wrap=True)
    for head in ("image", "height", "looks", "down", "roll", "view", "ground from", "lens"):
        table.add_column(head, justify="left" if head == "lens" else "right")
    for view in found:
        side = "left" if view.yaw > 0 else "right"
        table.add_row(
            view.name,
            f"{view.width}x{view.height}",
            f"{view.place[2]:.2f} m",
            "ahead" if abs(view.yaw) < 0.5 else f"{abs(view.yaw):.0f}° {side}",
            _degrees(view.pitch),
            _degrees(view.roll),
            f"{view.across:.0f}°x{view.down:.0f}°",
            "none" if view.ground is None else f"{view.ground:.1f} m",
            view.lens or "",
        )
    return table


def _degrees(angle: float) -> str:
    return f"{round(angle)}°"  # no -0


def _ring(rig: Rig) -> list[str]:
    common = [f"{a} and {b} {each.width:.0f}°" for each in overlaps(rig) for a, b in [each.cameras]]
    missing = [f"{each.width:.0f}° between {' and '.join(each.cameras)}" for each in gaps(rig)]
    lines = [f"overlaps: {', '.join(common)}" if common else "no two cameras see the same part of the horizon"]
    lines.append(f"no camera sees: {', '.join(missing)}" if missing else "the ring is closed: every direction is seen")
    return lines
