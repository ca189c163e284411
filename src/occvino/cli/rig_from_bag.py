"""The command `occvino rig from-bag`."""

from pathlib import Path
from typing import Annotated

import typer

from occvino.cli.bag_options import BaseLink, BasePose, InfoTopics, Topics, bag_options
from occvino.cli.console import print_json, say, steps
from occvino.cli.options import Json
from occvino.datasets.bags.rig import first_images, rig_of_bag
from occvino.files import atomic_file, parts_inside
from occvino.images.open import opened


def from_bag(
    bag: Annotated[Path, typer.Argument(help="A folder with metadata.yaml, or a .mcap, .db3 or .bag file.")],
    out: Annotated[Path, typer.Option(help="Rig file to write.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder for the images of the first frame, for `occvino rig check`.")
    ] = None,
    topic: Topics = None,
    camera_info: InfoTopics = None,
    base_link: BaseLink = "base_link",
    base_pose: BasePose = None,
    as_json: Json = False,
) -> None:
    """Write the rig of a ROS bag: its cameras, from camera_info and tf_static.

    Example: occvino rig from-bag drive.mcap --out rig.json --images frame
    """
    options = bag_options(topic, camera_info, base_link=base_link, base_pose=base_pose)
    with steps(quiet=as_json) as progress:
        progress("reading")
        rig = rig_of_bag(bag, options)
        found = first_images(bag, options) if images is not None else {}
    rig.save(out)
    for name, image in found.items():
        with atomic_file((images or out.parent) / f"{'_'.join(parts_inside(name) or (name,))}.png") as temporary:
            opened(image).save(temporary, format="PNG")
    if as_json:
        print_json({"out": str(out), "cameras": list(rig.names)})
    else:
        say(f"wrote {out}: {', '.join(rig.names)}" + (f"\nwrote an image of each to {images}" if images else ""))
