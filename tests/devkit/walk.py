"""Walk a synthetic set with the official nuscenes-devkit: `python walk.py SCENES`. Needs neither occvino nor torch."""

import sys
from pathlib import Path

import numpy as np
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import view_points
from PIL import Image
from pyquaternion import Quaternion


def check(fits: bool, what: str) -> None:
    """Stop with the reason when something does not fit."""
    if not fits:
        sys.exit(f"does not fit: {what}")


def poses(devkit: NuScenes, token: str) -> tuple[dict, dict, dict]:
    data = devkit.get("sample_data", token)
    sensor = devkit.get("calibrated_sensor", data["calibrated_sensor_token"])
    return data, sensor, devkit.get("ego_pose", data["ego_pose_token"])


def walk_sample(devkit: NuScenes, sample: dict) -> int:
    """Look at one key frame: poses, images, and how many boxes the devkit sees in them."""
    check(len(sample["data"]) == 7, f"{sample['token']} has {sorted(sample['data'])}")
    seen = 0
    for channel, token in sample["data"].items():
        data, sensor, ego = poses(devkit, token)
        for record in (sensor, ego):
            check(abs(np.linalg.norm(record["rotation"]) - 1) < 1e-9, f"rotation of {channel} is not a unit quaternion")
        path, boxes, intrinsic = devkit.get_sample_data(token)
        check(Path(path).exists(), f"{path} is missing")
        if data["sensor_modality"] != "camera":
            continue
        with Image.open(path) as image:
            check(image.size == (data["width"], data["height"]), f"size of {path}")
        check(np.shape(intrinsic) == (3, 3), f"intrinsics of {channel}")
        seen += len(boxes)
    return seen


def points_in_boxes(devkit: NuScenes, sample: dict) -> np.ndarray:
    """Lidar points that the devkit finds in the boxes, and how many the tables say there are.  # [2]"""
    path, boxes, _ = devkit.get_sample_data(sample["data"]["LIDAR_TOP"])
    cloud = LidarPointCloud.from_file(path)
    inside = counted = 0
    for box in boxes:
        local = box.orientation.inverse.rotation_matrix @ (cloud.points[:3] - box.center[:, None])
        half = np.array([box.wlh[1], box.wlh[0], box.wlh[2]]) / 2 + 0.1
        off_the_ground = local[2] > 0.06 - box.wlh[2] / 2
        inside += int(((np.abs(local) < half[:, None]).all(0) & off_the_ground).sum())
        counted += devkit.get("sample_annotation", box.token)["num_lidar_pts"]
    return np.array([inside, counted])


def camera_time_spread(devkit: NuScenes, sample: dict) -> float:
    """How far the vehicle moves between the first and the last exposure, metres."""
    places = [poses(devkit, t)[2]["translation"] for c, t in sample["data"].items() if c.startswith("CAM")]
    return float(np.linalg.norm(np.ptp(np.array(places), axis=0)))


def lidar_on_image(devkit: NuScenes, sample: dict) -> float:
    """Share of lidar points in front of CAM_FRONT that project into its image."""
    data, sensor, ego = poses(devkit, sample["data"]["CAM_FRONT"])
    _, lidar, lidar_ego = poses(devkit, sample["data"]["LIDAR_TOP"])
    cloud = LidarPointCloud.from_file(devkit.get_sample_data_path(sample["data"]["LIDAR_TOP"]))
    for record in (lidar, lidar_ego):
        cloud.rotate(Quaternion(record["rotation"]).rotation_matrix)
        cloud.translate(np.array(record["translation"]))
    for record in (ego, sensor):
        cloud.translate(-np.array(record["translation"]))
        cloud.rotate(Quaternion(record["rotation"]).rotation_matrix.T)
    ahead = cloud.points[:3, cloud.points[2] > 1]
    pixels = view_points(ahead, np.array(sensor["camera_intrinsic"]), normalize=True)
    inside = (pixels[0] >= 0) & (pixels[0] < data["width"]) & (pixels[1] >= 0) & (pixels[1] < data["height"])
    return float(inside.mean())


def main(root: Path) -> None:
    version = next(path.name for path in root.iterdir() if path.name.startswith("v1.0-"))
    devkit = NuScenes(version, str(root), verbose=True)
    samples = boxes = 0
    points = np.zeros(2, int)
    spread: list[float] = []
    for scene in devkit.scene:
        token, chain = scene["first_sample_token"], 0
        while token:
            sample = devkit.get("sample", token)
            boxes, chain = boxes + walk_sample(devkit, sample), chain + 1
            points += points_in_boxes(devkit, sample)
            spread.append(camera_time_spread(devkit, sample))
            check(0.05 < lidar_on_image(devkit, sample) < 0.9, f"lidar does not project into CAM_FRONT of {token}")
            last, token = token, sample["next"]
        check(chain == scene["nbr_samples"] and last == scene["last_sample_token"], f"chain of {scene['name']}")
        samples += chain
    for instance in devkit.instance:
        token, chain = instance["first_annotation_token"], 0
        while token:
            annotation = devkit.get("sample_annotation", token)
            check(np.isfinite(devkit.box_velocity(annotation["token"])[:2]).any() or chain == 0, "velocity")
            token, chain = annotation["next"], chain + 1
        check(chain == instance["nbr_annotations"], f"chain of instance {instance['token']}")
    check(abs(points[0] - points[1]) < 0.05 * points[1], f"{points[0]} points in boxes, tables say {points[1]}")
    print(
        f"{len(devkit.scene)} scenes, {samples} samples, {boxes} boxes in images, {points[0]} lidar points in boxes "
        f"(tables: {points[1]}); "
        f"the vehicle moves {min(spread):.3f} to {max(spread):.3f} m between exposures"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
