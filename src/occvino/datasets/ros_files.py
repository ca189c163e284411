"""Rigs from ROS without a bag: camera_info as YAML, and static transforms as YAML or URDF.

camera_info is read as `ros2 topic echo` (or `rostopic echo`) prints it, and as camera_calibration writes it, which
knows no frame; transforms as `ros2 topic echo /tf_static` prints them, and as the joints of a URDF.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from occvino.datasets.bags.calibration import calibration_of
from occvino.datasets.bags.messages import BagError, CameraInfo, StampedPose, frame_name
from occvino.datasets.bags.poses import Key
from occvino.datasets.bags.tree import MovingTree
from occvino.errors import OccvinoError, warn
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import Matrix, quaternion_from_rotation

_ANY_TIME: Key = (0, 0)


def read_ros(
    cameras: Mapping[str, Path],
    transforms: Sequence[Path],
    *,
    frames: Mapping[str, str] | None = None,
    base_link: str = "base_link",
    base2ego: Matrix | None = None,
    rectified: bool = False,
) -> Rig:
    """A rig from files.

    Args:
        cameras: the camera_info file of each camera, by the camera's name.
        transforms: YAML or URDF files, all of one tree.
        frames: optical frame of a camera, where its file does not say it.
        base_link: the vehicle's frame.
        base2ego: pose of `base_link` in the ego frame [4, 4]; the identity when left out.
        rectified: the images are rectified: P and R count, and no lens.

    Raises:
        BagError: a file cannot be read, lacks something, or holds a value that cannot be right; frames that the
            transforms do not connect.
    """
    tree = MovingTree(0)
    for path in transforms:
        for given in _transforms(path):
            tree.add(given, None, str(path))
    made = []
    for name, path in cameras.items():
        info = camera_info(path)
        frame = frame_name((frames or {}).get(name) or info.frame)
        if not frame:
            known = sorted({*tree.edges, *tree.edges.values()})
            raise BagError(
                f"{path} names no frame (header.frame_id): give that of {name} with --frame {name}=FRAME; the "
                f"transforms have {', '.join(known) or 'none'}"
            )
        found = calibration_of(info, str(path), rectified=rectified)
        optical2base = tree.at(frame, frame_name(base_link), _ANY_TIME)
        made.append(found.camera(name, (np.eye(4) if base2ego is None else base2ego) @ optical2base, np.eye(4)))
    return Rig(tuple(made))


def camera_info(path: Path) -> CameraInfo:
    """One camera's calibration, of either form.

    Raises:
        BagError: the file cannot be read, or a field is missing or has the wrong shape.
    """
    documents = [document for document in _documents(path) if isinstance(document, dict)]
    if not documents:
        raise BagError(f"{path} holds no camera_info: expected the fields of sensor_msgs/CameraInfo as YAML")
    values: dict[str, Any] = {str(key).lower(): value for key, value in documents[0].items()}
    if len(documents) > 1:
        warn(f"{path} holds {len(documents)} messages: the first one is used")
    echo = "k" in values
    header = values.get("header") or {}
    roi, what = values.get("roi") or {}, str(path)
    return CameraInfo(
        frame=frame_name(str(header.get("frame_id") or "")),
        width=_whole(what, values, "width" if echo else "image_width"),
        height=_whole(what, values, "height" if echo else "image_height"),
        model=str(values.get("distortion_model") or ""),
        d=_numbers(what, values, "d" if echo else "distortion_coefficients", None),
        k=_numbers(what, values, "k" if echo else "camera_matrix", 9),
        r=_numbers(what, values, "r" if echo else "rectification_matrix", 9, missing=0.0),
        p=_numbers(what, values, "p" if echo else "projection_matrix", 12, missing=0.0),
        binning=(int(values.get("binning_x") or 0), int(values.get("binning_y") or 0)),
        roi=tuple(int(roi.get(key) or 0) for key in ("x_offset", "y_offset", "width", "height")),  # type: ignore[arg-type]
    )


def _documents(path: Path) -> list[Any]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise OccvinoError('YAML is read by PyYAML: pip install "occvino[ros]"') from error
    try:
        text = path.read_text(encoding="utf-8-sig")
        return list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BagError(f"cannot read {path}: {' '.join(str(error).split())}") from error


def _whole(path: str, values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    if type(value) is not int or value < 1:
        raise BagError(f"{path}: {key} is {value!r}, expected a whole number of pixels")
    return value


def _numbers(
    path: str, values: Mapping[str, Any], key: str, count: int | None, missing: float | None = None
) -> tuple[float, ...]:
    """A list of numbers, or the `data` of a matrix of camera_calibration."""
    value = values.get(key)
    if value is None and missing is not None and count is not None:
        return (missing,) * count
    if isinstance(value, dict):
        value = value.get("data")
    try:
        found = tuple(float(number) for number in value)  # type: ignore[union-attr]  # None is no list, and told
    except (TypeError, ValueError):
        raise BagError(
            f"{path}: {key} is {value!r}, expected a list of {count or ''} numbers".replace("  ", " ")
        ) from None
    if count is not None and len(found) != count:
        raise BagError(f"{path}: {key} has {len(found)} numbers, expected {count}, row by row")
    return found


def _transforms(path: Path) -> Iterator[StampedPose]:
    if path.suffix.lower() in (".urdf", ".xml", ".xacro"):
        yield from _joints(path)
        return
    found = 0
    for document in _documents(path):
        given = document.get("transforms", [document]) if isinstance(document, dict) else document
        for each in given if isinstance(given, list) else []:
            found += 1
            yield _stamped(path, each)
    if not found:
        raise BagError(f"{path} holds no transform: expected `transforms` as `ros2 topic echo /tf_static` prints them")


def _stamped(path: Path, given: Any) -> StampedPose:
    expected = "expected geometry_msgs/TransformStamped"
    try:
        transform = given["transform"]
        shift, turn = transform["translation"], transform["rotation"]
        return StampedPose(
            stamp=0,
            parent=frame_name(str(given["header"]["frame_id"])),
            child=frame_name(str(given["child_frame_id"])),
            translation=(float(shift["x"]), float(shift["y"]), float(shift["z"])),
            wxyz=(float(turn["w"]), float(turn["x"]), float(turn["y"]), float(turn["z"])),
        )
    except KeyError as error:
        raise BagError(f"{path}: a transform has no {error.args[0]!r}: {expected}") from error
    except (TypeError, ValueError) as error:
        raise BagError(f"{path}: a transform cannot be read ({error}): {expected}") from error


def _joints(path: Path) -> Iterator[StampedPose]:
    """The joints of a URDF; those that move are taken where they are at zero, with a warning."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise BagError(f"cannot read {path}: {error}") from error
    joints = root.findall("joint")
    if not joints:
        raise BagError(f"{path} has no <joint>: expected a URDF (run xacro first, if it is one)")
    moving = [str(joint.get("name")) for joint in joints if joint.get("type") not in ("fixed", None)]
    if moving:
        warn(f"{path}: joints that move are taken at zero: {', '.join(moving)}")
    for joint in joints:
        yield _joint(path, joint)


def _joint(path: Path, joint: ElementTree.Element) -> StampedPose:
    name = joint.get("name")
    parent, child, origin = joint.find("parent"), joint.find("child"), joint.find("origin")
    if parent is None or child is None or not parent.get("link") or not child.get("link"):
        raise BagError(f"{path}: joint {name!r} has no parent or child link")
    xyz = _triple(path, name, "xyz", origin.get("xyz") if origin is not None else None)
    rpy = _triple(path, name, "rpy", origin.get("rpy") if origin is not None else None)
    if max(map(abs, rpy)) > 2 * math.pi:
        raise BagError(f"{path}: rpy of joint {name!r} is {rpy}, expected radians: are these degrees?")
    w, x, y, z = quaternion_from_rotation(_from_rpy(*rpy))
    return StampedPose(0, frame_name(parent.get("link", "")), frame_name(child.get("link", "")), xyz, (w, x, y, z))


def _triple(path: Path, joint: str | None, key: str, text: str | None) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in (text or "0 0 0").split())
    except ValueError:
        raise BagError(f"{path}: {key} of joint {joint!r} is {text!r}, expected three numbers") from None
    return x, y, z


def _from_rpy(roll: float, pitch: float, yaw: float) -> Matrix:
    """URDF's rotation: about the fixed axes x, y, z in that order, radians [3, 3]."""
    (cr, cp, cy), (sr, sp, sy) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
