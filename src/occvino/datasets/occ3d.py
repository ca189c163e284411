"""Occ3D ground truth: `gts/<scene>/<sample token>/labels.npz`."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from occvino.datasets.tables import DatasetError
from occvino.variant import OCC3D_CLASSES

SHAPE = (200, 200, 16)


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
        """Read `labels.npz`. Nothing in the file is executed: pickled arrays are refused.

        Raises:
            DatasetError: the file is missing or damaged, or an array is missing or cannot be Occ3D's.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            raise DatasetError(f"the labels {path} are missing: unpack Occ3D's gts archive there") from None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DatasetError(f"cannot read the labels {path}: {error}") from error
        for name in ("semantics", "mask_camera", "mask_lidar"):
            if name not in arrays:
                raise DatasetError(f"{path} has no array {name!r}; it has {', '.join(sorted(arrays)) or 'none'}")
        for name, array in arrays.items():
            if array.shape != SHAPE or array.dtype.kind not in "bui":
                raise DatasetError(f"{path}: {name} is {array.dtype} {array.shape}, expected whole numbers {SHAPE}")
        highest = int(arrays["semantics"].max())
        if highest >= len(OCC3D_CLASSES) or int(arrays["semantics"].min()) < 0:
            raise DatasetError(f"{path}: semantics holds class {highest}, expected 0 to {len(OCC3D_CLASSES) - 1}")
        instances = arrays.get("instances")
        return cls(
            arrays["semantics"].astype(np.uint8),
            arrays["mask_camera"].astype(bool),
            arrays["mask_lidar"].astype(bool),
            None if instances is None else instances.astype(np.int32),
        )
