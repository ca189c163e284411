"""What may be said about a bag, and what is taken where nothing is said."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from occvino.datasets.bags.messages import BagError
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix

STANDS_STILL = "none"
"""As `fixed_frame`: the vehicle stands still, or nobody knows where it is."""


def _nothing() -> dict[str, str]:
    return {}


@dataclass(frozen=True, eq=False)
class BagOptions:
    """How a bag is read.

    Args:
        topics: image topic of each camera, by the camera's name; guessed when left out.
        infos: topic of its camera_info, where that is not beside the images.
        window: seconds; images of a frame are no further from that of the first camera. Half of its period by default.
        base_link: the frame of the vehicle in tf.
        fixed_frame: the frame in which the vehicle moves: by default odom, or map. "none": it stands still.
        odometry: topic to take the vehicle's pose from, instead of tf.
        base2ego: pose of `base_link` in the ego frame: x forward, y left, z up, on the ground below the rear
            axle.  # [4, 4]
        pose_gap: seconds; between poses that are further apart nothing is interpolated.
        scene_gap: seconds without a frame after which another scene begins.
        rig: calibration to take instead of camera_info and tf_static; only its `ego2global` is not used.

    Raises:
        BagError: options that contradict each other, or cannot be right.
    """

    topics: Mapping[str, str] = field(default_factory=_nothing)
    infos: Mapping[str, str] = field(default_factory=_nothing)
    window: float | None = None
    base_link: str = "base_link"
    fixed_frame: str | None = None
    odometry: str | None = None
    base2ego: Matrix = field(default_factory=lambda: np.eye(4))
    pose_gap: float = 1.0
    scene_gap: float = 2.0
    rig: Rig | None = None

    def __post_init__(self) -> None:
        for name in ("window", "pose_gap", "scene_gap"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise BagError(f"--{name.replace('_', '-')} {value}: expected seconds, more than 0")
        if self.fixed_frame is not None and self.odometry is not None:
            raise BagError(
                f"--fixed-frame {self.fixed_frame} and --odometry {self.odometry} both say where the vehicle is: give "
                "one of them"
            )
        lost = [name for name in self.infos if name not in self.topics]
        if lost:
            raise BagError(
                f"--camera-info {lost[0]}={self.infos[lost[0]]} goes with --topic {lost[0]}=/IMAGES: give both"
            )
