"""Cameras and where they sit. Every frame and unit of the project is named here, once.

Frames (all right-handed, metres):

* image  - pixels of the raw picture: u right, v down. Resizing by s maps (u, v) to (s u, s v), as the published models
  have it; the half pixel that a centre-based convention would add is left out, here as there;
* sensor - one camera: x right, y down, z along the optical axis;
* ego    - the vehicle **at the moment that camera was exposed**: x forward, y left, z up;
* global - the map. The ego poses of one frame differ between cameras, since they fire at different times;
* key ego - the ego frame of camera 0, in which occupancy is predicted.

`a2b` is a matrix [4, 4] that maps homogeneous column vectors of frame a to frame b: `p_b = a2b @ p_a`.
Quaternions are (w, x, y, z).
"""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from occvino.errors import RigError
from occvino.files import write_text
from occvino.variants import NUSCENES_CAMERAS, Variant

Matrix: TypeAlias = NDArray[np.float64]

MAX_CAMERAS = 12
_ROTATION_TOLERANCE = 1e-4
"""float32 rotations are orthonormal to about 1e-6; a wrong one is off by far more than this."""
_FAR = 1e4
"""Metres from the map's origin beyond which float32, which the official code uses, loses millimetres: UTM coordinates
would lose half a metre. Only differences of ego poses matter, so the origin is moved then. nuScenes stays below."""


def rotation_from_quaternion(wxyz: ArrayLike) -> Matrix:
    """Rotation matrix [3, 3] of a quaternion (w, x, y, z) of length 1, which is normalised against rounding.

    Raises:
        RigError: not four finite numbers, or a length off by more than 1 %.
    """
    q = np.asarray(wxyz, np.float64)
    if q.shape != (4,) or not np.isfinite(q).all() or abs(np.linalg.norm(q) - 1) > 1e-2:
        raise RigError(f"rotation {q.tolist()} is not a unit quaternion: four finite numbers w, x, y, z of length 1")
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose(rotation_wxyz: ArrayLike, translation: ArrayLike) -> Matrix:
    """Rigid transform [4, 4] from a quaternion (w, x, y, z) and a translation in metres."""
    shift = np.asarray(translation, np.float64)
    if shift.shape != (3,) or not np.isfinite(shift).all():
        raise RigError(f"translation {shift.tolist()} is not three finite numbers, in metres")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_quaternion(rotation_wxyz)
    matrix[:3, 3] = shift
    return matrix


def rigid_inverse(matrix: NDArray[np.floating[Any]]) -> Matrix:
    """Inverse of rigid transforms [..., 4, 4] in closed form, float64: R' = R^T, t' = -R^T t."""
    rotation_t = np.swapaxes(matrix[..., :3, :3].astype(np.float64), -1, -2)
    inverse = np.zeros(matrix.shape)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -(rotation_t @ matrix[..., :3, 3:].astype(np.float64))[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def inverse3x3(matrix: NDArray[np.floating[Any]]) -> Matrix:
    """Inverse of matrices [..., 3, 3] by the adjugate, float64: rows of the inverse are cross products of columns."""
    a, b, c = np.moveaxis(matrix.astype(np.float64), -1, 0)  # the three columns, [..., 3] each
    rows = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=-2)  # [..., 3, 3]
    return rows / np.sum(a * rows[..., 0, :], axis=-1)[..., None, None]


@dataclass(frozen=True)
class ImageTransform:
    """How a raw picture becomes the network's input: resize to `resized`, then cut out the box `crop`.

    `resized` is (width, height) and `crop` is (left, top, right, bottom), in pixels, as Pillow takes them.
    `scale` is the factor that the published models put in their camera matrices; the pixel sizes are rounded down
    from it, as the official test pipeline does.
    """

    scale: float
    resized: tuple[int, int]
    crop: tuple[int, int, int, int]

    @classmethod
    def for_test(cls, source_size: tuple[int, int], input_size: tuple[int, int]) -> "ImageTransform":
        """The official test-time transform: scale the width to fit, keep the bottom rows, centre the columns.

        Args:
            source_size: (height, width) of the raw picture.
            input_size: (height, width) that the network takes.

        Raises:
            RigError: the picture is too flat to fill the input height.
        """
        (height, width), (out_height, out_width) = source_size, input_size
        scale = out_width / width
        resized_width, resized_height = int(width * scale), int(height * scale)
        top, left = resized_height - out_height, max(0, resized_width - out_width) // 2
        if top < 0:
            raise RigError(
                f"a {width}x{height} picture scaled to width {out_width} is {resized_height} pixels high, and the "
                f"network takes {out_height}: use pictures of at least {int(np.ceil(out_height / scale))} rows"
            )
        return cls(scale, (resized_width, resized_height), (left, top, left + out_width, top + out_height))


@dataclass(frozen=True, eq=False)
class Camera:
    """One camera of a rig. The matrices are float64 and checked when the camera is made.

    Args:
        name: as `CAM_FRONT`; image files are found by it.
        width: of the raw picture, pixels.
        height: of the raw picture, pixels.
        intrinsics: [3, 3], sensor frame to raw pixels.
        sensor2ego: [4, 4], rigid.
        ego2global: [4, 4], rigid, at this camera's own exposure. Identity for a vehicle that stands still.

    Raises:
        RigError: names the camera, the value and what was expected.
    """

    name: str
    width: int
    height: int
    intrinsics: Matrix
    sensor2ego: Matrix
    ego2global: Matrix

    def __post_init__(self) -> None:
        for attribute in ("intrinsics", "sensor2ego", "ego2global"):
            object.__setattr__(self, attribute, _frozen(getattr(self, attribute), np.float64))
        if self.width < 1 or self.height < 1:
            raise RigError(f"{self.name}: the picture is {self.width}x{self.height}; both must be 1 or more")
        _check_intrinsics(self.name, self.intrinsics)
        _check_rigid(self.name, "sensor2ego", self.sensor2ego)
        _check_rigid(self.name, "ego2global", self.ego2global)

    def scaled(self, factor: float) -> "Camera":
        """The same camera with its pictures resized by `factor`: sizes are rounded, the first two rows of K scale."""
        if not np.isfinite(factor) or factor <= 0:
            raise RigError(f"{self.name}: cannot scale by {factor}; a positive number is expected")
        width, height = max(1, round(self.width * factor)), max(1, round(self.height * factor))
        return replace(
            self,
            width=width,
            height=height,
            intrinsics=np.diag([width / self.width, height / self.height, 1.0]) @ self.intrinsics,
        )


def _frozen(values: ArrayLike, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """A copy that nobody can change after it was checked."""
    array = np.array(values, dtype)
    array.setflags(write=False)
    return array


def _check_intrinsics(name: str, k: Matrix) -> None:
    if k.shape != (3, 3):
        raise RigError(f"{name}: intrinsics have shape {k.shape}, expected (3, 3)")
    if not np.isfinite(k).all():
        raise RigError(f"{name}: intrinsics hold a value that is not finite: {k.tolist()}")
    if not np.array_equal(k[2], [0.0, 0.0, 1.0]):
        raise RigError(f"{name}: the last row of the intrinsics is {k[2].tolist()}, expected [0, 0, 1]")
    if k[0, 0] <= 0 or k[1, 1] <= 0:
        raise RigError(
            f"{name}: intrinsics are singular or mirrored: focal lengths fx={k[0, 0]:g}, fy={k[1, 1]:g} pixels, "
            "expected two positive numbers"
        )
    if abs(k[0, 0] * k[1, 1] - k[0, 1] * k[1, 0]) < 1e-6 * k[0, 0] * k[1, 1]:
        raise RigError(f"{name}: intrinsics are singular: the first two rows are parallel, {k[:2].tolist()}")


def _check_rigid(name: str, what: str, matrix: Matrix) -> None:
    if matrix.shape != (4, 4):
        raise RigError(f"{name}: {what} has shape {matrix.shape}, expected (4, 4)")
    if not np.isfinite(matrix).all():
        raise RigError(f"{name}: {what} holds a value that is not finite: {matrix.tolist()}")
    rotation = matrix[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _ROTATION_TOLERANCE:
        raise RigError(
            f"{name}: the 3x3 part of {what} is not a rotation: R R^T differs from the identity by {error:.3g}"
        )
    if np.linalg.det(rotation) < 0:
        raise RigError(f"{name}: the 3x3 part of {what} mirrors (determinant -1): an axis is flipped")
    if not np.array_equal(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        raise RigError(f"{name}: the last row of {what} is {matrix[3].tolist()}, expected [0, 0, 0, 1]")


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

    Raises:
        RigError: an array has another shape, or a value that is not finite.
    """

    sensor2ego: NDArray[np.float32]
    ego2global: NDArray[np.float32]
    intrinsics: NDArray[np.float32]
    post_rot: NDArray[np.float32]
    post_trans: NDArray[np.float32]
    bda: NDArray[np.float32]

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
            array = _frozen(getattr(self, attribute), np.float32)
            if array.shape != shape:
                raise RigError(f"calibration: {attribute} has shape {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise RigError(f"calibration: {attribute} holds a value that is not finite")
            object.__setattr__(self, attribute, array)

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
        )

    def sensor2keyego(self) -> NDArray[np.float32]:
        """Camera to key ego frame [N, 4, 4]: composed in float64, then cast, as `BEVDet.prepare_inputs` does."""
        if (self.ego2global == self.ego2global[0]).all():  # exposed together: the vehicle's own motion cancels
            return self.sensor2ego
        global2keyego = rigid_inverse(self.ego2global[0])
        return (global2keyego @ self.ego2global.astype(np.float64) @ self.sensor2ego).astype(np.float32)

    @classmethod
    def join(cls, frames: Sequence["Calibration"]) -> "Calibration":
        """The cameras of several frames in one, frame after frame; the first frame's BEV augmentation serves all."""
        names = ("sensor2ego", "ego2global", "intrinsics", "post_rot", "post_trans")
        joined = {name: np.concatenate([getattr(frame, name) for frame in frames]) for name in names}
        return cls(**joined, bda=frames[0].bda)

    def fingerprint(self) -> bytes:
        """What the geometry depends on, as bytes: equal when two calibrations give the same plan. Caches compare it."""
        arrays = (self.sensor2keyego(), self.intrinsics, self.post_rot, self.post_trans, self.bda)
        return b"".join(array.tobytes() for array in arrays)


@dataclass(frozen=True, eq=False)
class Rig:
    """From 1 to 12 cameras, in the order in which the network takes them. Camera 0 defines the key ego frame.

    Raises:
        RigError: no camera, more than 12, or two of one name.
    """

    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if not 1 <= len(self.cameras) <= MAX_CAMERAS:
            raise RigError(f"the rig has {len(self.cameras)} cameras, expected 1 to {MAX_CAMERAS}")
        twice = {name for name in self.names if self.names.count(name) > 1}
        if twice:
            raise RigError(f"the rig has more than one camera called {', '.join(sorted(twice))}")

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def has_pose(self) -> bool:
        """Whether it says where the vehicle is: a rig that leaves `ego2global` out has the identity there."""
        return any(not np.array_equal(camera.ego2global, np.eye(4)) for camera in self.cameras)

    @property
    def names(self) -> tuple[str, ...]:
        """Camera names, in order."""
        return tuple(camera.name for camera in self.cameras)

    @classmethod
    def load(cls, path: str | Path) -> "Rig":
        """Read a rig from JSON: `{"cameras": {NAME: {width, height, intrinsics, sensor2ego, ego2global}}}`.

        Poses are a matrix [4, 4] or `{"rotation_wxyz": [4], "translation_m": [3]}`; `ego2global` may be left out for a
        vehicle that stands still. Other keys are ignored, so a file may say more than this reader needs.

        Raises:
            RigError: the file is missing, not JSON, or a value cannot be right.
        """
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_no_key_twice)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise RigError(f"cannot read the rig {path}: {error}") from error
        cameras = document.get("cameras") if isinstance(document, dict) else None
        if not isinstance(cameras, dict):
            raise RigError(f'{path} holds no "cameras" object that maps camera names to their calibration')
        return cls(tuple(_camera_from_json(name, entry) for name, entry in cameras.items()))

    def save(self, path: str | Path) -> None:
        """Write the rig as JSON that `load` reads back to the same float64 values."""
        cameras = {
            camera.name: {
                "width": camera.width,
                "height": camera.height,
                "intrinsics": camera.intrinsics.tolist(),
                "sensor2ego": camera.sensor2ego.tolist(),
                "ego2global": camera.ego2global.tolist(),
            }
            for camera in self.cameras
        }
        write_text(path, json.dumps({"cameras": cameras}, indent=1) + "\n")

    @classmethod
    def from_nuscenes(cls, sample: Mapping[str, Mapping[str, Any]], names: Sequence[str] | None = None) -> "Rig":
        """Rig of one nuScenes key frame, from its per-camera records as BEVDet's info files hold them (`info["cams"]`).

        Args:
            sample: camera name -> record with `cam_intrinsic` [3, 3], `sensor2ego_rotation` (w, x, y, z),
                `sensor2ego_translation`, `ego2global_rotation`, `ego2global_translation`, and, when the picture is not
                1600x900, `width` and `height`.
            names: which cameras, in which order. When left out: nuScenes' six in the order of the published models if
                the sample has just these, else all in the sample's own order.

        Raises:
            RigError: a camera or a field is missing.
        """
        if names is None:
            names = NUSCENES_CAMERAS if set(sample) == set(NUSCENES_CAMERAS) else tuple(sample)
        return cls(tuple(_camera_from_nuscenes(name, sample) for name in names))

    def scaled(self, factor: float) -> "Rig":
        """The same rig for pictures that were resized by `factor`."""
        return Rig(tuple(camera.scaled(factor) for camera in self.cameras))

    def select(self, names: Iterable[str]) -> "Rig":
        """The rig of the named cameras, in that order.

        Raises:
            RigError: a camera is missing; the message lists those there are.
        """
        names = tuple(names)
        by_name = {camera.name: camera for camera in self.cameras}
        missing = [name for name in names if name not in by_name]
        if missing:
            raise RigError(f"the rig has no camera {', '.join(missing)}; it has {', '.join(self.names)}")
        return Rig(tuple(by_name[name] for name in names))

    def image_transforms(self, variant: Variant) -> tuple[ImageTransform, ...]:
        """For each camera, how its picture becomes the variant's input."""
        return tuple(
            ImageTransform.for_test((camera.height, camera.width), variant.input_size) for camera in self.cameras
        )

    def map_origin(self) -> Matrix:
        """What to subtract from positions on the map [3], metres: nothing, or this vehicle's own when it is far off."""
        positions = np.array([camera.ego2global[:3, 3] for camera in self.cameras])
        return positions[0] if np.abs(positions).max() > _FAR else np.zeros(3)

    def calibration(self, variant: Variant, origin: Matrix | None = None) -> Calibration:
        """The matrices that the geometry needs, float32, with the test-time image transform in them.

        `origin` is the `map_origin` that several frames share; this rig's own when left out.
        """
        transforms = self.image_transforms(variant)
        ego2global = np.array([camera.ego2global for camera in self.cameras])
        ego2global[:, :3, 3] -= self.map_origin() if origin is None else origin
        return Calibration(
            sensor2ego=np.array([camera.sensor2ego for camera in self.cameras], np.float32),
            ego2global=ego2global.astype(np.float32),
            intrinsics=np.array([camera.intrinsics for camera in self.cameras], np.float32),
            post_rot=np.array([np.diag([t.scale, t.scale, 1.0]) for t in transforms], np.float32),
            post_trans=np.array([[-t.crop[0], -t.crop[1], 0.0] for t in transforms], np.float32),
            bda=np.eye(3, dtype=np.float32),
        )


class UnknownPoseWarning(UserWarning):
    """No rig of several moments says where the vehicle was: past moments are used as if it had stood still."""


def warn_of_unknown_poses(rigs: Iterable[Rig]) -> None:
    """For the rigs of two or more moments. The identity counts as nothing said: who drives is not there twice."""
    if not any(rig.has_pose for rig in rigs):
        warnings.warn(
            "ego2global is left out, or the identity, at every moment: past moments are used as if the vehicle stood "
            "still. Say in each rig where it was",
            UnknownPoseWarning,
            stacklevel=2,
        )


def _camera_from_json(name: str, entry: Any) -> Camera:
    try:
        return Camera(
            name=name,
            width=_whole(entry["width"]),
            height=_whole(entry["height"]),
            intrinsics=np.asarray(entry["intrinsics"], np.float64),
            sensor2ego=_pose_from_json(entry["sensor2ego"]),
            ego2global=_pose_from_json(entry["ego2global"]) if "ego2global" in entry else np.eye(4),
        )
    except RigError as error:
        raise RigError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error
    except KeyError as error:
        raise RigError(f"{name}: the rig file gives no {error.args[0]!r}") from error
    except (TypeError, ValueError) as error:
        raise RigError(f"{name}: a value in the rig file is not a number or has the wrong shape: {error}") from error


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number of pixels")
    return value


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key stand twice and the last one win, which would lose a camera."""
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise RigError(f"the rig file gives {', '.join(twice)} twice in one place")
    return dict(pairs)


def _pose_from_json(value: Any) -> Matrix:
    if isinstance(value, dict):
        return pose(value["rotation_wxyz"], value["translation_m"])
    return np.asarray(value, np.float64)


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
