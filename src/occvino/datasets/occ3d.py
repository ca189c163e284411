"""Occ3D ground truth: `gts/<scene>/<sample token>/labels.npz`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.fields import DatasetError
from occvino.npz import NpzError, Shape, read_npz
from occvino.variant import OCC3D_CLASSES

SHAPE = (200, 200, 16)
_NEEDED = ("semantics", "mask_camera", "mask_lidar")


@dataclass(frozen=True, eq=False)
class Occ3DLabels:
    """Ground truth of one frame, in the ego frame at the lidar's time; volumes are indexed [x, y, z].

    Attributes:
        semantics: class of each voxel, 0..17; 17 is free.  # [200, 200, 16]
        mask_camera: seen by some camera.  # [200, 200, 16]
        mask_lidar: seen by the lidar.  # [200, 200, 16]
        instances: id of the object in each voxel, 0 for none; only panoptic and synthetic sets have it.
    """

    semantics: NDArray[np.uint8]
    mask_camera: NDArray[np.bool_]
    mask_lidar: NDArray[np.bool_]
    instances: NDArray[np.int32] | None = None

    @classmethod
    def load(cls, path: str | Path) -> "Occ3DLabels":
        """Read `labels.npz`. Nothing in the file is executed: pickled arrays are refused. Other arrays are ignored.

        Raises:
            DatasetError: the file is missing or damaged, or an array is missing or cannot be Occ3D's.
        """
        there: list[str] = []

        def wanted(name: str, shape: Shape, dtype: np.dtype[Any]) -> bool:
            there.append(name)
            if name in (*_NEEDED, "instances") and (shape != SHAPE or dtype.kind not in "bui"):
                raise DatasetError(
                    f"{path}: {name} is {dtype} {shape}, expected whole numbers {SHAPE}, indexed [x, y, z]: is it "
                    "Occ3D's labels.npz?"
                )
            return name in (*_NEEDED, "instances")

        try:
            arrays = read_npz(path, wanted)
        except FileNotFoundError:
            raise DatasetError(f"the labels {path} are missing: unpack Occ3D's gts archive there") from None
        except NpzError as error:
            raise DatasetError(f"cannot read the labels {path}: {error}") from error
        for name in _NEEDED:
            if name not in arrays:
                raise DatasetError(f"{path} has no array {name!r}; it has {', '.join(sorted(there)) or 'none'}")
        highest = int(arrays["semantics"].max())
        lowest = int(arrays["semantics"].min())
        if highest >= len(OCC3D_CLASSES) or lowest < 0:
            raise DatasetError(
                f"{path}: semantics holds class {min(lowest, 0) or highest}, expected 0 to {len(OCC3D_CLASSES) - 1}: "
                "Occ3D numbers its classes so, free is 17"
            )
        instances = arrays.get("instances")
        return cls(
            arrays["semantics"].astype(np.uint8),
            arrays["mask_camera"].astype(bool),
            arrays["mask_lidar"].astype(bool),
            None if instances is None else instances.astype(np.int32),
        )
