"""The rig of a bag: calibration alone, from camera_info and tf_static."""

from pathlib import Path

import numpy as np

from occvino.datasets.bags.options import BagOptions
from occvino.datasets.bags.setup import Setup, set_up
from occvino.datasets.bags.source import open_bag
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
