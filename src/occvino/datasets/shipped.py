"""The scene that ships inside: a few frames of the synthetic world in nuScenes format, which no model was trained on.

Made by `occvino synth --scenes 1 --seed 2002 --frames 3 --width 704`; the lidar sweeps are left out, since they are
large and nothing here opens them.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.artifact import Artifact
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError
from occvino.geometry.rig import Rig
from occvino.images.inputs import ImagesAndRig
from occvino.images.layout import ImageInput

SCENE = Path(__file__).resolve().parents[1] / "assets" / "drive"


def shipped_scene() -> NuScenes:
    """Its frames, with images 704x396 and Occ3D labels."""
    return NuScenes(SCENE)


def frames_for(artifact: str | Path) -> list[ImagesAndRig]:
    """Frames of the scene that ships inside, newest first, for an artifact without real ones at hand.

    As many as the model takes, if the scene has them; of the size that the IR takes, if it takes raw images.

    Raises:
        OccvinoError: the artifact's cameras are not the six of that scene, or take images of another shape, or its
            calibration is baked in.
    """
    opened, scene = Artifact.open(artifact), shipped_scene()
    frames = [scene[index] for index in range(min(opened.variant.frames, len(scene)))]
    if opened.manifest.baked_calibration or set(opened.manifest.cameras) != set(frames[0].rig.names):
        own = "a baked calibration" if opened.manifest.baked_calibration else f"cameras {opened.manifest.cameras}"
        raise OccvinoError(f"{artifact} has {own}; the scene that ships inside has its own: give --images and --rig")
    takes = opened.manifest.image_input
    return [
        _made(frame.image_files(), frame.rig, takes) if takes else (frame.image_files(), frame.rig)
        for frame in reversed(frames)
    ]


def _made(images: dict[str, Path], rig: Rig, takes: ImageInput) -> ImagesAndRig:
    """Images and rig in the size that the IR takes."""
    scaled = rig.scaled(takes.size[1] / rig.cameras[0].width)
    height, width = scaled.cameras[0].height, scaled.cameras[0].width
    if (height, width) != takes.size:
        raise OccvinoError(
            f"the artifact takes images of {takes}, and those of the scene that ships inside would be "
            f"{height}x{width}: give --images and --rig"
        )
    return {name: _image(path, takes) for name, path in images.items()}, scaled


def _image(path: Path, takes: ImageInput) -> bytes | NDArray[np.uint8]:
    """A JPEG; a grey array for nv12, which no image file holds."""
    if takes.layout == "nv12":
        return np.full(takes.shape, 128, np.uint8)
    with Image.open(path) as image, io.BytesIO() as file:
        image.resize(takes.size[::-1]).save(file, format="JPEG", quality=90)
        return file.getvalue()
