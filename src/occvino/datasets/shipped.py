"""The drive that ships inside: a few frames of the synthetic world in nuScenes format, which no model was trained on.

Made by `occvino synth --scenes 1 --seed 2002 --frames 3 --width 704`; the lidar sweeps are left out, since they are
large and nothing here opens them.
"""

from pathlib import Path

from occvino.datasets.nuscenes import NuScenes

DRIVE = Path(__file__).resolve().parents[1] / "assets" / "drive"


def shipped_drive() -> NuScenes:
    """Its frames, with pictures 704x396 and Occ3D labels."""
    return NuScenes(DRIVE)
