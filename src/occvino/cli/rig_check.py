"""The command `occvino rig check`."""

from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from occvino.cli.complete import complete_variant
from occvino.cli.console import print_json, say
from occvino.cli.options import Exif, Json
from occvino.cli.rig_notes import notes_as_json, notes_of
from occvino.geometry.doubts import doubts
from occvino.geometry.inputs import joint_calibration
from occvino.geometry.lift import PoolingPlan
from occvino.geometry.mistakes import mistakes
from occvino.geometry.rig import Rig
from occvino.images.decode import Reading, read
from occvino.images.exif import exif_of
from occvino.images.find import by_camera
from occvino.variants import get_variant
from occvino.viz import save_picture
from occvino.viz.rig_check import rig_picture


def check(
    rig: Annotated[Path, typer.Argument(help="Rig file.")],
    out: Annotated[Path, typer.Option(help="The picture to write, a PNG.")] = Path("check.png"),
    images: Annotated[Path | None, typer.Option(help="Folder with one image per camera; grey without.")] = None,
    variant: Annotated[
        str, typer.Option(autocompletion=complete_variant, help="The model whose grid and crop are meant.")
    ] = "flashocc-r50-M0",
    exif: Exif = "warn",
    as_json: Json = False,
) -> None:
    """Look for mistakes in a rig, and draw what it says into its images.

    Exit code 1 if there are doubts. The picture shows in ten seconds whether the calibration is right: rings lie flat
    on the road, the white lines run along the lane, and the blue line is the horizon.

    Example: occvino rig check rig.json --images frame --out check.png
    """
    loaded, model = Rig.load(rig), get_variant(variant)
    # the plan of one frame is enough, whatever the model takes
    found = doubts(loaded, model, _plan(loaded, variant))
    likely = mistakes(loaded, found)
    notes = notes_of(found, likely)
    pictures = _pictures(images, loaded, exif) if images else {}
    picture = rig_picture(loaded, pictures, model, notes or ["no doubts about this rig"], title=str(rig))
    save_picture(picture, out)
    wrong = any(doubt.kind != "horizon" for doubt in found)
    if as_json:
        print_json({"rig": str(rig), **notes_as_json(found, likely), "out": str(out)})
    else:
        say("\n".join([*notes, f"wrote {out}"] if notes else [f"no doubts about {rig}\nwrote {out}"]))
    raise typer.Exit(1 if wrong else 0)


def _plan(rig: Rig, variant: str) -> PoolingPlan:
    single = get_variant(variant)
    calibration = joint_calibration([rig] * single.frames, single)
    return PoolingPlan.from_calibration(calibration, single)


def _pictures(folder: Path, rig: Rig, exif: str) -> dict[str, Image.Image]:
    reading, given = Reading(exif_of(exif)), by_camera(folder, rig)
    found = {camera.name: read(given[camera.name], camera, reading) for camera in rig.cameras}
    reading.warn()
    return found
