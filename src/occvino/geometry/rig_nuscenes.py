"""Rigs as nuScenes and BEVDet's info files have them: a record for each camera of a sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from occvino.errors import RigError
from occvino.geometry.camera import Camera
from occvino.geometry.transforms import pose
from occvino.variant import NUSCENES_CAMERAS


def cameras_of_sample(
    sample: Mapping[str, Mapping[str, Any]], names: Sequence[str] | None = None
) -> tuple[Camera, ...]:
    """Cameras of one nuScenes sample; the arguments are those of `Rig.from_nuscenes`.

    Raises:
        RigError: a camera or a field is missing.
    """
    if names is None:
        names = NUSCENES_CAMERAS if set(sample) == set(NUSCENES_CAMERAS) else tuple(sample)
    return tuple(_camera_from_nuscenes(name, sample) for name in names)


def _camera_from_nuscenes(name: str, sample: Mapping[str, Mapping[str, Any]]) -> Camera:
    try:
        record = sample[name]
        return Camera(
            name=name,
            width=int(record.get("width", 1600)),
            height=int(record.get("height", 900)),
            intrinsics=np.asarray(record["cam_intrinsic"], np.float64),
            sensor2ego=pose(record["sensor2ego_rotation"], record["sensor2ego_translation"]),
            ego2global=pose(record["ego2global_rotation"], record["ego2global_translation"]),
        )
    except RigError as error:
        raise RigError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error
    except KeyError as error:
        raise RigError(f"{name}: the nuScenes sample has no {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise RigError(f"{name}: a value in the nuScenes sample has the wrong shape: {error}") from error
