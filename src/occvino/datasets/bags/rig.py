"""The rig of a bag: calibration alone, from camera_info and tf_static."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.bags.messages import BagError
from occvino.datasets.bags.options import STANDS_STILL, BagOptions
from occvino.datasets.bags.setup import Setup, set_up
from occvino.datasets.bags.source import open_bag
from occvino.datasets.bags.stream import BagStream
from occvino.errors import warn
from occvino.geometry.rig import Rig


def rig_of_bag(path: Path, options: BagOptions | None = None) -> Rig:
    """The cameras of a bag with their first camera_info, and their poses on the vehicle; `ego2global` is the identity.

    Args:
        path: of the bag.
        options: which topics, the vehicle's frame in tf, and its pose in the ego frame.

    Raises:
        BagError: something is missing, or in doubt.
        RigError: a calibration cannot be right.
    """
    options = options or BagOptions()
    with open_bag(path) as bag:
        if bag.damaged:
            warn(f"{path} is {bag.damaged}")
        return rig_of_setup(set_up(bag, options, None, still=True), options)


def first_images(path: Path, options: BagOptions | None = None) -> Mapping[str, bytes | NDArray[np.uint8]]:
    """The images of the first frame that has all of them: of each camera, a file's bytes or an RGB array u8 [H, W, 3].

    Raises:
        BagError: something is missing, or in doubt; or no frame is whole.
    """
    with open_bag(path) as bag:
        stream = BagStream(bag, replace(options or BagOptions(), fixed_frame=STANDS_STILL))
        for frame in stream:
            if frame.images is not None:
                return frame.images
    raise BagError(f"{path} has no moment with an image of each of {', '.join(c.name for c in stream.setup.cameras)}")


def rig_of_setup(setup: Setup, options: BagOptions) -> Rig:
    """The rig at the beginning of a bag.

    Raises:
        RigError: a calibration cannot be right.
    """
    tree = setup.survey.tree
    cameras = []
    for camera in setup.cameras:
        if options.rig is not None:
            pose = options.rig.select([camera.name]).cameras[0].sensor2ego
        else:
            pose = options.base2ego @ tree.at(setup.frames[camera.name], options.base_link, (0, 0), mount=True)
        cameras.append(setup.calibrations[camera.name].camera(camera.name, pose, np.eye(4)))
    return Rig(tuple(cameras))
