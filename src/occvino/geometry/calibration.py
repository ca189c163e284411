"""The matrices of all cameras as the official models take them: float32, one array each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occvino.errors import RigError
from occvino.geometry.lens import Lens
from occvino.geometry.transforms import frozen, rigid_inverse


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the geometry needs, as the official models take it: float32, N cameras, key ego = camera 0's ego.

    A `Rig` makes one with `Rig.calibration`; training and the golden cases make their own, with augmentation in it.

    Args:
        sensor2ego: [N, 4, 4].
        ego2global: [N, 4, 4].
        intrinsics: [N, 3, 3], raw pixels.
        post_rot: [N, 3, 3], raw pixels to network pixels, linear part (third row and column are those of the identity).
        post_trans: [N, 3], raw pixels to network pixels, shift (third entry 0).
        bda: [3, 3], augmentation of the BEV; identity when testing.
        lenses: of each camera, None for a straight one. Empty if all are, as in the official models.

    Raises:
        RigError: an array has another shape or a value that is not finite, or there is not one lens for each camera.
    """

    sensor2ego: NDArray[np.float32]
    ego2global: NDArray[np.float32]
    intrinsics: NDArray[np.float32]
    post_rot: NDArray[np.float32]
    post_trans: NDArray[np.float32]
    bda: NDArray[np.float32]
    lenses: tuple[Lens | None, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.sensor2ego)
        shapes = {
            "sensor2ego": (n, 4, 4),
            "ego2global": (n, 4, 4),
            "intrinsics": (n, 3, 3),
            "post_rot": (n, 3, 3),
            "post_trans": (n, 3),
            "bda": (3, 3),
        }
        for attribute, shape in shapes.items():
            array = frozen(getattr(self, attribute), np.float32)
            if array.shape != shape:
                raise RigError(f"calibration: {attribute} has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise RigError(f"calibration: {attribute} holds a value that is not finite")
            object.__setattr__(self, attribute, array)
        if len(self.lenses) not in (0, n):
            raise RigError(f"calibration: {len(self.lenses)} lenses for {n} cameras, expected one for each, or none")

    def __len__(self) -> int:
        return len(self.sensor2ego)

    def first(self, cameras: int) -> "Calibration":
        """The calibration of that many cameras from the first on."""
        return Calibration(
            self.sensor2ego[:cameras],
            self.ego2global[:cameras],
            self.intrinsics[:cameras],
            self.post_rot[:cameras],
            self.post_trans[:cameras],
            self.bda,
            self.lenses[:cameras],
        )

    def sensor2keyego(self) -> NDArray[np.float32]:
        """Camera to key ego frame [N, 4, 4]: composed in float64, then cast, as `BEVDet.prepare_inputs` does."""
        if (self.ego2global == self.ego2global[0]).all():  # exposed together: the vehicle's own motion cancels
            return self.sensor2ego
        global2keyego = rigid_inverse(self.ego2global[0])
        return (global2keyego @ self.ego2global.astype(np.float64) @ self.sensor2ego).astype(np.float32)

    @classmethod
    def join(cls, frames: Sequence["Calibration"]) -> "Calibration":
        """One calibration of the cameras of several frames, frame after frame; the first frame's `bda` serves all."""
        names = ("sensor2ego", "ego2global", "intrinsics", "post_rot", "post_trans")
        joined = {name: np.concatenate([getattr(frame, name) for frame in frames]) for name in names}
        lenses = [lens for frame in frames for lens in frame.lenses or (None,) * len(frame)]
        return cls(**joined, bda=frames[0].bda, lenses=tuple(lenses) if any(lenses) else ())

    def fingerprint(self) -> bytes:
        """What the geometry depends on, as bytes: equal when two calibrations give the same plan. Caches compare it."""
        arrays = (self.sensor2keyego(), self.intrinsics, self.post_rot, self.post_trans, self.bda)
        return b"".join(array.tobytes() for array in arrays) + repr(self.lenses).encode()
