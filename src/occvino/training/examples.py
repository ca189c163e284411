"""From a key frame to what a training step takes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.sample import Sample
from occvino.geometry.calibration import Calibration
from occvino.geometry.inputs import Geometry, camera_vectors, joint_calibration
from occvino.training.augment import BevChange, ImageChange
from occvino.training.depth import NO_DEPTH, DepthFrom, bins_of_labels, bins_of_returns
from occvino.variant import Variant

Samples: TypeAlias = tuple[Sample, ...]
"""A key frame and its past frames, newest first, as many as a network takes."""


@dataclass(frozen=True, eq=False)
class Example:
    """A key frame with its past frames. N cameras, F frames; volumes are indexed [x, y, z], of the key frame.

    Attributes:
        images: RGB images, those of the key frame first.  # [F * N, H, W, 3] uint8
        inputs: what else the network takes, in the order of `geometry.input_names`.
        semantics: class of each voxel.  # [Dx, Dy, Dz] int64
        seen: voxels that a camera sees.  # [Dx, Dy, Dz] bool
        depth: bin of what each feature pixel shows, or `NO_DEPTH`.  # [N, fH, fW] int64
    """

    images: Tensor
    inputs: tuple[Tensor, ...]
    semantics: Tensor
    seen: Tensor
    depth: Tensor

    def to(self, device: torch.device) -> "Example":
        """The same on a device; itself where it is there already."""
        if self.images.device == device:
            return self
        inputs = tuple(tensor.to(device, non_blocking=True) for tensor in self.inputs)
        rest = (self.images, self.semantics, self.seen, self.depth)
        images, semantics, seen, depth = (tensor.to(device, non_blocking=True) for tensor in rest)
        return Example(images, inputs, semantics, seen, depth)


def samples_of(dataset: NuScenes, variant: Variant) -> list[Samples]:
    """Every key frame of a set with the past frames that the variant takes; see `NuScenes.previous`."""
    return [(frame, *dataset.previous(index, variant.frames - 1)) for index, frame in enumerate(dataset)]


def load_example(
    samples: Samples, variant: Variant, rng: np.random.Generator | None, *, depth_from: DepthFrom | None = "lidar"
) -> Example:
    """Read a key frame, its past frames and its ground truth; change them at random when there is a generator.

    A camera's images are changed in the same way in all frames.

    Args:
        samples: the key frame first.
        variant: what takes them.
        rng: of the changes; None leaves everything as it is.
        depth_from: where `Example.depth` comes from. Only "lidar" opens the sweep; with None all is `NO_DEPTH`.

    Raises:
        FrameError: an image is missing or not of the size that its record says.
        DatasetError: labels or the lidar sweep are missing or damaged.
        RigError: another number of frames than the variant takes.
    """
    frame = samples[0]
    if rng is None:
        bases = frame.rig.image_transforms(variant)
        changes, bev = [ImageChange(base) for base in bases], BevChange()
    else:
        changes, bev = _random_changes(frame, variant, rng)
    images = [
        change.apply(raw) for sample in samples for change, raw in zip(changes, sample.load_images(), strict=True)
    ]
    calibration = _calibration(samples, variant, changes, bev)
    labels = frame.load_labels()
    semantics = bev.apply(labels.semantics).astype(np.int64)
    return Example(
        images=torch.from_numpy(np.stack(images)),
        inputs=tuple(torch.from_numpy(array) for array in Geometry.of(calibration, variant).inputs.values()),
        semantics=torch.from_numpy(semantics),
        seen=torch.from_numpy(bev.apply(labels.mask_camera)),
        depth=torch.from_numpy(_depth(depth_from, frame, semantics, calibration, variant)),
    )


def _depth(
    source: DepthFrom | None, frame: Sample, semantics: NDArray[np.int64], calibration: Calibration, variant: Variant
) -> NDArray[np.int64]:
    if source == "lidar":
        return bins_of_returns(frame.lidar_pixels(), calibration, variant)
    if source == "labels":
        return bins_of_labels(semantics, len(frame.rig.cameras), calibration, variant)
    return np.full((len(frame.rig.cameras), *variant.feature_size), NO_DEPTH)


def random_cameras(samples: Samples, variant: Variant, rng: np.random.Generator) -> NDArray[np.float32]:
    """Camera vectors [B, 27] of frames after random changes, as `load_example` draws them. No image is read.

    Raises:
        RigError: another number of frames than the variant takes.
    """
    return camera_vectors(_calibration(samples, variant, *_random_changes(samples[0], variant, rng)), variant)


def _random_changes(frame: Sample, variant: Variant, rng: np.random.Generator) -> tuple[list[ImageChange], BevChange]:
    sizes = [(camera.height, camera.width) for camera in frame.rig.cameras]
    return [ImageChange.random(size, variant.input_size, rng) for size in sizes], BevChange.random(rng)


def _calibration(samples: Samples, variant: Variant, changes: Sequence[ImageChange], bev: BevChange) -> Calibration:
    matrices = [change.matrices() for change in changes] * len(samples)
    return replace(
        joint_calibration([frame.rig for frame in samples], variant),
        post_rot=np.array([rotation for rotation, _ in matrices], np.float32),
        post_trans=np.array([shift for _, shift in matrices], np.float32),
        bda=bev.matrix(),
    )
