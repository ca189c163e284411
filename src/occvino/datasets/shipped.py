"""The drive that ships inside: a few frames of the synthetic world in nuScenes format, which no model was trained on.

Made by `occvino synth --scenes 1 --seed 2002 --frames 3 --width 704`; the lidar sweeps are left out, since they are
large and nothing here opens them.
"""

from pathlib import Path

from occvino.artifact import Artifact
from occvino.cameras import Rig
from occvino.datasets.nuscenes import NuScenes
from occvino.errors import OccvinoError

DRIVE = Path(__file__).resolve().parents[1] / "assets" / "drive"


def shipped_drive() -> NuScenes:
    """Its frames, with pictures 704x396 and Occ3D labels."""
    return NuScenes(DRIVE)


def moments_for(artifact: str | Path) -> list[tuple[dict[str, Path], Rig]]:
    """Moments for an artifact, newest first, when there are no real ones at hand: of the drive that ships inside.

    There are as many as the model takes, or as the drive has.

    Raises:
        OccvinoError: the artifact's cameras are not the six of that drive, or its calibration is baked in.
    """
    opened, drive = Artifact.open(artifact), shipped_drive()
    frames = [drive[index] for index in range(min(opened.variant.frames, len(drive)))]
    if opened.manifest.baked_calibration or set(opened.manifest.cameras) != set(frames[0].rig.names):
        own = "a baked calibration" if opened.manifest.baked_calibration else f"cameras {opened.manifest.cameras}"
        raise OccvinoError(f"{artifact} has {own}; the drive that ships inside has its own: give --images and --rig")
    return [(frame.pictures(), frame.rig) for frame in reversed(frames)]
