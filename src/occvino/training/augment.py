"""Random changes of images and of the bird's-eye view, with the matrices that tell the geometry about them.

Ranges and order are those of the official training pipeline (`PrepareImageInputs`, `BEVAug`): resize, crop, mirror,
rotate an image; mirror the BEV. Whatever is done to a pixel is told to the lift by `post_rot` and `post_trans`, so
labels need no change for it; mirroring the BEV mirrors the labels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occvino.geometry.image_transform import ImageTransform

_RESIZE = (-0.06, 0.11)
_ROTATE_DEGREES = 5.4


@dataclass(frozen=True)
class ImageChange:
    """What is done to one camera's image: `base` resizes and crops, then it is mirrored and rotated in the plane."""

    base: ImageTransform
    mirror: bool = False
    degrees: float = 0.0

    @classmethod
    def random(
        cls, source_size: tuple[int, int], input_size: tuple[int, int], rng: np.random.Generator
    ) -> "ImageChange":
        """A random one. Sizes are (height, width) in pixels, of the raw image and of the network's input."""
        (height, width), (out_height, out_width) = source_size, input_size
        scale = out_width / width + rng.uniform(*_RESIZE)
        resized = int(width * scale), int(height * scale)
        left, top = int(rng.uniform(0, max(0, resized[0] - out_width))), resized[1] - out_height
        crop = (left, top, left + out_width, top + out_height)
        mirror, degrees = bool(rng.integers(2)), float(rng.uniform(-_ROTATE_DEGREES, _ROTATE_DEGREES))
        return cls(ImageTransform(scale, resized, crop), mirror, degrees)

    def apply(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The raw image [H, W, 3] as the network is to see it; what lies outside the raw image is black."""
        image = Image.fromarray(raw).resize(self.base.resized, Image.Resampling.BICUBIC).crop(self.base.crop)
        if self.mirror:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.degrees:
            image = image.rotate(self.degrees)
        return np.asarray(image)

    def matrices(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Raw pixel -> network pixel as `post_rot` [3, 3] and `post_trans` [3]: p' = post_rot p + post_trans."""
        left, top, right, bottom = self.base.crop
        size = np.array([right - left, bottom - top], np.float64)
        rotation, shift = np.eye(2) * self.base.scale, -np.array([left, top], np.float64)
        if self.mirror:
            flip = np.diag([-1.0, 1.0])
            rotation, shift = flip @ rotation, flip @ shift + [size[0], 0]
        angle = np.deg2rad(self.degrees)  # Pillow turns counter-clockwise as seen, and v points down
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        rotation, shift = turn @ rotation, turn @ (shift - size / 2) + size / 2
        post_rot = np.eye(3)
        post_rot[:2, :2] = rotation
        return post_rot, np.append(shift, 0.0)


@dataclass(frozen=True)
class BevChange:
    """Mirror the bird's-eye view along x (front and back) and y (left and right)."""

    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def random(cls, rng: np.random.Generator) -> "BevChange":
        """Each of the four with the same chance."""
        return cls(bool(rng.integers(2)), bool(rng.integers(2)))

    def matrix(self) -> NDArray[np.float32]:
        """For `Calibration.bda`, [3, 3]."""
        return np.diag([-1.0 if self.mirror_x else 1.0, -1.0 if self.mirror_y else 1.0, 1.0]).astype(np.float32)

    def apply(self, volume: NDArray[Any]) -> NDArray[Any]:
        """Labels or a mask [Dx, Dy, Dz], mirrored likewise."""
        return np.ascontiguousarray(volume[:: -1 if self.mirror_x else 1, :: -1 if self.mirror_y else 1])
