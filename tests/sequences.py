"""Small scenes for temporal models: noise images, and rigs of a vehicle that comes forward and turns a little."""

from dataclasses import replace

import numpy as np
import torch

from occvino.conversion.references import nudged
from occvino.geometry.inputs import Geometry
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.images.inputs import resized_images, with_past
from occvino.networks.flashocc import normalise
from tests.conftest import make_camera


def at(metres: float, yaw: float = 0.0):
    """Pose of the vehicle [4, 4], so many metres along its way, turned by `yaw` radians."""
    return pose([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)], [100 + metres, 50, 0])


def make_frame(index: int, *, start: float = 0.0, apart: float = 0.05, seed: int = 0, cameras: int = 2):
    """Images and rig of one frame, 0.4 m after the one before.

    The cameras fire one after another, `apart` metres of the way; at 0 they fire at once.
    """
    rng = np.random.default_rng((seed, index))
    rig = Rig(
        tuple(
            replace(
                make_camera(f"CAM_{side}", 90.0 * side, width=96, height=64, focal=60.0),
                ego2global=at(start + 0.4 * index + apart * side, 0.02 * (index + apart * side)),
            )
            for side in range(cameras)
        )
    )
    return {name: rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for name in rig.names}, rig


def sequence(count: int, *, apart: float = 0.05, **options):
    """Frames in order of time. The vehicle gains speed, so that its cameras fire further and further `apart`."""
    return [make_frame(index, apart=apart * index, **options) for index in range(count)]


def tensors(arrays):
    """Arrays by name as tensors, in order."""
    return [torch.from_numpy(np.asarray(array)) for array in arrays.values()]


def batch(model, frame, past=(), *, rounded=False):
    """Taps of PyTorch's batch form; `past` newest first. `rounded`: with every warp one last place off."""
    seen = with_past(*frame, past, model.variant.frames)
    rigs = [rig for _, rig in seen]
    geometry = Geometry.of_rigs(rigs, model.variant).inputs
    if rounded:
        geometry["warps"] = nudged(geometry["warps"])
    images = torch.from_numpy(resized_images(seen, rigs, model.variant))
    with torch.inference_mode():
        return model.taps(normalise(images), *tensors(geometry))
