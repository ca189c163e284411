"""The nuScenes v1.0 tables of synthetic scenes: records of one scene, and the whole set's folder of JSON files.

The schema is that of the nuScenes devkit's documentation. Quaternions are (w, x, y, z); times are microseconds.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from occvino.files import write_text
from occvino.geometry.transforms import Matrix, quaternion_from_rotation
from occvino.synth.actors import Actor
from occvino.synth.rig import SensorSet

VERSION = "v1.0-synth"
MAP_FILE = "maps/synthetic.png"
TABLES = (
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "log",
    "map",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
    "visibility",
)

CATEGORY = {
    "barrier": "movable_object.barrier",
    "bicycle": "vehicle.bicycle",
    "bus": "vehicle.bus.rigid",
    "car": "vehicle.car",
    "construction_vehicle": "vehicle.construction",
    "motorcycle": "vehicle.motorcycle",
    "pedestrian": "human.pedestrian.adult",
    "traffic_cone": "movable_object.trafficcone",
    "trailer": "vehicle.trailer",
    "truck": "vehicle.truck",
}
"""nuScenes category of each Occ3D class that has boxes."""

Record = dict[str, Any]
Records = dict[str, list[Record]]


def token(*parts: object) -> str:
    """A 32-digit token that depends on the parts only."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


def common_records(*, seed: int) -> Records:
    """Tables that do not depend on the scenes: sensors, categories, attributes, visibilities."""
    cameras = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
    sensors = [{"token": token("sensor", c), "channel": c, "modality": "camera"} for c in cameras]
    sensors.append({"token": token("sensor", "LIDAR_TOP"), "channel": "LIDAR_TOP", "modality": "lidar"})
    return {
        "sensor": sensors,
        "category": [
            {"token": token("category", name), "name": name, "description": f"synthetic {occ3d}", "index": index}
            for index, (occ3d, name) in enumerate(CATEGORY.items())
        ],
        "attribute": [],
        "visibility": [
            {"token": str(i + 1), "level": level, "description": f"between {level[1:].replace('-', ' and ')} percent"}
            for i, level in enumerate(("v0-40", "v40-60", "v60-80", "v80-100"))
        ],
        "map": [{"token": token(seed, "map"), "category": "semantic_prior", "filename": MAP_FILE, "log_tokens": []}],
    }


class SceneRecords:
    """Collects the records of one scene, key frame by key frame, then links them (`prev`, `next`, first, last)."""

    def __init__(self, seed: int, index: int, description: str, sensors: SensorSet) -> None:
        self.key = (seed, index)
        self.name = f"scene-{index + 1:04d}"
        self.records: Records = {table: [] for table in TABLES}
        self._annotations: dict[int, list[Record]] = {}
        self._scene = token(*self.key, "scene")
        log = token(*self.key, "log")
        self.records["log"].append(
            {"token": log, "logfile": self.name, "vehicle": "synth", "date_captured": "2026-01-01", "location": "synth"}
        )
        self.records["scene"].append(
            {"token": self._scene, "log_token": log, "name": self.name, "description": description}
        )
        for mount in sensors.mounts:
            self._calibrated(mount.name, mount.sensor2ego, mount.intrinsics.tolist())
        self._calibrated("LIDAR_TOP", sensors.lidar2ego, [])

    def _calibrated(self, channel: str, sensor2ego: Matrix, intrinsic: list[Any]) -> None:
        self.records["calibrated_sensor"].append(
            {
                "token": token(*self.key, "calibrated", channel),
                "sensor_token": token("sensor", channel),
                "translation": sensor2ego[:3, 3].tolist(),
                "rotation": quaternion_from_rotation(sensor2ego[:3, :3]),
                "camera_intrinsic": intrinsic,
            }
        )

    def sample_token(self, frame: int) -> str:
        """Token of key frame number `frame`."""
        return token(*self.key, "sample", frame)

    def add_sample(self, frame: int, timestamp: int) -> None:
        """Begin a key frame."""
        self.records["sample"].append(
            {"token": self.sample_token(frame), "timestamp": timestamp, "scene_token": self._scene}
        )

    def add_data(
        self, frame: int, channel: str, filename: str, timestamp: int, ego2global: Matrix, size: tuple[int, int]
    ) -> None:
        """Add one sensor's file to a key frame; `size` is (width, height), (0, 0) for the lidar."""
        own = token(*self.key, "data", channel, frame)
        self.records["ego_pose"].append(
            {
                "token": own,
                "timestamp": timestamp,
                "rotation": quaternion_from_rotation(ego2global[:3, :3]),
                "translation": ego2global[:3, 3].tolist(),
            }
        )
        self.records["sample_data"].append(
            {
                "token": own,
                "sample_token": self.sample_token(frame),
                "ego_pose_token": own,
                "calibrated_sensor_token": token(*self.key, "calibrated", channel),
                "timestamp": timestamp,
                "fileformat": "jpg" if channel.startswith("CAM") else "pcd",
                "is_key_frame": True,
                "width": size[0],
                "height": size[1],
                "filename": filename,
            }
        )

    def add_box(self, frame: int, actor: Actor, place: tuple[float, float, float], lidar_points: int) -> None:
        """Annotate an object at global x, y, yaw."""
        x, y, yaw = place
        length, width, height = actor.size
        self._annotations.setdefault(actor.instance, []).append(
            {
                "token": token(*self.key, "box", actor.instance, frame),
                "sample_token": self.sample_token(frame),
                "instance_token": token(*self.key, "instance", actor.instance),
                "visibility_token": "4",
                "attribute_tokens": [],
                "translation": [x, y, height / 2],
                "size": [width, length, height],
                "rotation": [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))],
                "num_lidar_pts": lidar_points,
                "num_radar_pts": 0,
                "category_token": token("category", CATEGORY[actor.name]),
            }
        )

    def finished(self) -> Records:
        """All records, linked."""
        records = self.records
        _link(records["sample"])
        scene = records["scene"][0]
        scene["nbr_samples"] = len(records["sample"])
        scene["first_sample_token"], scene["last_sample_token"] = (records["sample"][i]["token"] for i in (0, -1))
        for sensor in records["calibrated_sensor"]:
            _link([data for data in records["sample_data"] if data["calibrated_sensor_token"] == sensor["token"]])
        for boxes in self._annotations.values():
            _link(boxes)
            category = boxes[0]["category_token"]
            for box in boxes:
                del box["category_token"]
            records["instance"].append(
                {
                    "token": boxes[0]["instance_token"],
                    "category_token": category,
                    "nbr_annotations": len(boxes),
                    "first_annotation_token": boxes[0]["token"],
                    "last_annotation_token": boxes[-1]["token"],
                }
            )
            records["sample_annotation"] += boxes
        return records


def _link(chain: list[Record]) -> None:
    for index, record in enumerate(chain):
        record["prev"] = chain[index - 1]["token"] if index else ""
        record["next"] = chain[index + 1]["token"] if index + 1 < len(chain) else ""


def write_tables(out: Path, scenes: list[Records], *, seed: int) -> None:
    """Write every table of the set to `out / VERSION`."""
    merged = common_records(seed=seed)
    for table in TABLES:
        merged.setdefault(table, [])
        merged[table] += [record for scene in scenes for record in scene.get(table, [])]
    merged["map"][0]["log_tokens"] = [log["token"] for log in merged["log"]]
    for table in TABLES:
        write_text(out / VERSION / f"{table}.json", json.dumps(merged[table], indent=0, allow_nan=False))
