import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.occ3d import Occ3DLabels
from occvino.datasets.tables import DatasetError
from occvino.errors import FrameError
from occvino.geometry.transforms import pose
from occvino.images.decode import ImageDoubtWarning
from occvino.metrics import MIoU
from occvino.variant import NUSCENES_CAMERAS, OCC3D_CLASSES


@pytest.fixture
def own(scenes, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(scenes, tmp_path / "scenes")


def test_frames_of_a_set(scenes):
    dataset = NuScenes(scenes)
    assert len(dataset) == 2
    assert list(dataset.scenes) == ["scene-0001"]
    for frame in dataset:
        assert frame.rig.names == NUSCENES_CAMERAS
        assert frame.load_images().shape == (6, 54, 96, 3)
        labels = frame.load_labels()
        assert labels.semantics.shape == labels.mask_camera.shape == (200, 200, 16)
        assert 0.05 < labels.mask_camera.mean() < 0.9
        assert 0.05 < labels.mask_lidar.mean() < 0.9
        assert labels.instances is not None
        for camera in frame.rig.cameras:
            moved = np.linalg.norm(camera.ego2global[:3, 3] - frame.ego2global[:3, 3])
            assert moved < 1.0  # exposures are within 50 ms of the sweep
    first, second = dataset
    assert second.timestamp - first.timestamp == 500_000
    assert dataset.find(second.token) == 1


def test_past_frames_and_the_start_of_a_scene(scenes):
    dataset = NuScenes(scenes)
    first, second = dataset
    assert dataset.previous(1, 1) == (first,)
    assert dataset.previous(1, 3) == (first, second, second)  # the current frame stands in
    assert dataset.previous(0, 2) == (first, first)
    assert dataset.previous(-1, 1) == (first,)


def test_lidar_lands_on_labelled_voxels(scenes):
    frame = NuScenes(scenes)[0]
    points = frame.load_lidar()[:, :3] @ frame.lidar2ego[:3, :3].T + frame.lidar2ego[:3, 3]
    index = np.floor((points - (-40, -40, -1)) / 0.4).astype(int)
    index = index[((index >= 0) & (index < (200, 200, 16))).all(1)]
    assert len(index) > 5000
    # Range noise of 2 cm puts some points just outside the voxel that was hit.
    assert (frame.load_labels().semantics[tuple(index.T)] != 17).mean() > 0.85


def test_lidar_depth_agrees_with_the_images_geometry(scenes):
    frame = NuScenes(scenes)[0]
    pixels = frame.lidar_pixels()
    assert len(pixels) == 6
    for camera, found in zip(frame.rig.cameras, pixels, strict=True):
        assert ((found[:, 0] >= -0.5) & (found[:, 0] < camera.width - 0.5)).all()
        assert ((found[:, 2] > 0.1) & (found[:, 2] < 101)).all()
    # The road is 1.5 m below a level camera: in the lowest rows of CAM_FRONT it is a few metres away.
    front = pixels[1]
    assert 2 < np.median(front[front[:, 1] > 50, 2]) < 12


def test_ray_origins(scenes):
    dataset = NuScenes(scenes)
    for index, frame in enumerate(dataset):
        origins = dataset.ray_origins(index)
        assert origins.shape == (2, 3)
        np.testing.assert_allclose(origins[index], frame.lidar2ego[:3, 3], atol=1e-6)
        other = np.linalg.inv(frame.ego2global) @ dataset[1 - index].ego2global @ frame.lidar2ego
        np.testing.assert_allclose(origins[1 - index], other[:3, 3], atol=1e-4)


def test_truth_scores_one_through_files(scenes):
    labels = NuScenes(scenes)[0].load_labels()
    metric = MIoU()
    metric.update(labels.semantics, labels.semantics, labels.mask_camera)
    assert metric.compute() == 1.0


def test_other_cameras_in_another_order(scenes):
    frame = NuScenes(scenes, cameras=("CAM_BACK", "CAM_FRONT"))[0]
    assert frame.rig.names == ("CAM_BACK", "CAM_FRONT")
    assert frame.images[0].parent.name == "CAM_BACK"
    with pytest.raises(DatasetError, match="has no CAM_TOP"):
        NuScenes(scenes, cameras=("CAM_TOP",))


def infos_of(scenes) -> dict:
    """What BEVDet's converter makes of our tables, by its own field names."""
    tables = {p.stem: {r["token"]: r for r in json.loads(p.read_text())} for p in (scenes / "v1.0-synth").glob("*")}
    infos = []
    for sample in tables["sample"].values():
        info = {"token": sample["token"], "timestamp": sample["timestamp"], "sweeps": [], "cams": {}}
        for data in tables["sample_data"].values():
            if data["sample_token"] != sample["token"]:
                continue
            calibrated = tables["calibrated_sensor"][data["calibrated_sensor_token"]]
            ego = tables["ego_pose"][data["ego_pose_token"]]
            channel = tables["sensor"][calibrated["sensor_token"]]["channel"]
            sensor = {
                "sensor2ego_translation": calibrated["translation"],
                "sensor2ego_rotation": calibrated["rotation"],
            }
            moved = {"ego2global_translation": ego["translation"], "ego2global_rotation": ego["rotation"]}
            path = "./data/nuscenes/" + data["filename"]
            if channel == "LIDAR_TOP":
                lidar = {key.replace("sensor2ego", "lidar2ego"): value for key, value in sensor.items()}
                info |= {"lidar_path": path, **lidar, **moved}
            else:
                k = np.array(calibrated["camera_intrinsic"])
                size = {"width": data["width"], "height": data["height"]}
                info["cams"][channel] = {"data_path": path, "cam_intrinsic": k, **sensor, **moved, **size}
        info["ann_infos"] = ([np.zeros(9)], [3])
        info["scene_name"] = "scene-0001"
        info["occ_path"] = f"./data/nuscenes/gts/scene-0001/{sample['token']}"
        infos.append(info)
    return {"infos": infos[::-1], "metadata": {"version": "v1.0-synth"}}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_info_files_give_the_same_frames_as_tables(scenes, tmp_path, protocol):
    path = tmp_path / "bevdetv2-nuscenes_infos_val.pkl"
    path.write_bytes(pickle.dumps(infos_of(scenes), protocol))
    ours, theirs = NuScenes(scenes), NuScenes.from_infos(path, scenes)
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        assert (a.token, a.scene, a.timestamp, a.images, a.labels) == (
            b.token,
            b.scene,
            b.timestamp,
            b.images,
            b.labels,
        )
        assert np.array_equal(a.ego2global, b.ego2global)
        assert np.array_equal(a.lidar2ego, b.lidar2ego)
        for one, two in zip(a.rig.cameras, b.rig.cameras, strict=True):
            assert np.array_equal(one.intrinsics, two.intrinsics)
            assert np.array_equal(one.sensor2ego, two.sensor2ego)
            assert np.array_equal(one.ego2global, two.ego2global)


@pytest.mark.parametrize(("field", "value"), [("occ_path", "../../etc"), ("lidar_path", "samples/../../../etc/passwd")])
def test_info_files_cannot_point_outside_the_set(scenes, tmp_path, field, value):
    document = infos_of(scenes)
    document["infos"][0][field] = value
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps(document))
    with pytest.raises(DatasetError, match="which is not in a folder"):
        NuScenes.from_infos(path, scenes)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "samples/../../x.jpg", "C:\\x.jpg", "", "a\\..\\..\\b"]
)
def test_tables_cannot_point_outside_the_set(own, name):
    path = own / "v1.0-synth" / "sample_data.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([record | {"filename": name} for record in records]))
    with pytest.raises(DatasetError, match=r"'filename' is .*, expected (a name within the data set's folder|text)"):
        NuScenes(own)


@pytest.mark.parametrize("name", ["../../there", "..", "a/b", "a\\b", "", "."])
def test_names_that_labels_are_stored_under_are_folder_names(own, tmp_path, name):
    """OUT/<scene>/<token>/labels.npz must lie in OUT."""
    path = own / "v1.0-synth" / "scene.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([record | {"name": name} for record in records]))
    with pytest.raises(DatasetError, match="'name' is .*, expected (a plain name|text)"):
        NuScenes(own)
    document = infos_of(own)
    document["infos"][0]["token"] = name
    infos = tmp_path / "infos.pkl"
    infos.write_bytes(pickle.dumps(document))
    with pytest.raises(DatasetError, match="'token' is .*, expected (a plain name|text)"):
        NuScenes.from_infos(infos, own)


def mmdet3d_1x_of(scenes) -> dict:
    """What mmdet3d 1.x's `update_infos_to_v2.py` makes of the file above: no scenes, no folders, float32, seconds."""

    def matrix(record, name):
        return pose(record[f"{name}_rotation"], record[f"{name}_translation"]).astype(np.float32).tolist()

    frames = []
    for number, info in enumerate(infos_of(scenes)["infos"]):
        lidar2ego, ego2global = (
            pose(info[f"{n}_rotation"], info[f"{n}_translation"]) for n in ("lidar2ego", "ego2global")
        )
        images = {}
        for name, cam in info["cams"].items():
            cam2global = pose(cam["ego2global_rotation"], cam["ego2global_translation"]) @ pose(
                cam["sensor2ego_rotation"], cam["sensor2ego_translation"]
            )
            images[name] = {
                "img_path": cam["data_path"].split("/")[-1],
                "cam2img": cam["cam_intrinsic"].tolist(),
                "cam2ego": matrix(cam, "sensor2ego"),
                "lidar2cam": (np.linalg.inv(cam2global) @ ego2global @ lidar2ego).astype(np.float32).tolist(),
                "timestamp": 0.0,
                "width": cam["width"],
                "height": cam["height"],
            }
        frames.append(
            {
                "sample_idx": number,
                "token": info["token"],
                "timestamp": info["timestamp"] / 1e6,
                "ego2global": matrix(info, "ego2global"),
                "images": images,
                "lidar_points": {
                    "num_pts_feats": 5,
                    "lidar_path": info["lidar_path"].split("/")[-1],
                    "lidar2ego": matrix(info, "lidar2ego"),
                },
                "instances": [{"bbox_3d": [0.0] * 7, "bbox_label": 0}],
            }
        )
    metainfo = {"categories": {"car": 0}, "dataset": "nuscenes", "version": "v1.0-synth", "info_version": "1.1"}
    return {"metainfo": metainfo, "data_list": frames}


def test_info_files_of_mmdet3d_give_the_same_frames_as_tables(scenes, tmp_path):
    path = tmp_path / "nuscenes_infos_val.pkl"
    path.write_bytes(pickle.dumps(mmdet3d_1x_of(scenes)))
    ours, theirs = NuScenes(scenes), NuScenes.from_infos(path, scenes)
    assert len(ours) == len(theirs) == 2
    for a, b in zip(ours, theirs, strict=True):
        assert (a.token, a.scene, a.timestamp, a.images, a.labels, a.lidar) == (
            b.token,
            b.scene,
            b.timestamp,
            b.images,
            b.labels,
            b.lidar,
        )
        assert a.ego2global == pytest.approx(
            b.ego2global, abs=2e-4
        )  # float32, hundreds of metres from the map's origin
        for one, two in zip(a.rig.cameras, b.rig.cameras, strict=True):
            assert np.array_equal(one.intrinsics, two.intrinsics)
            assert one.sensor2ego == pytest.approx(two.sensor2ego, abs=1e-6)
            # of the vehicle at this camera's own exposure, not at the sweep
            assert one.ego2global == pytest.approx(two.ego2global, abs=2e-4)


def test_info_files_without_scenes_need_gts(own, tmp_path):
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps(mmdet3d_1x_of(own)))
    shutil.rmtree(own / "gts")
    with pytest.raises(DatasetError, match=r"frame 0 names no scene .*unpack Occ3D's gts there"):
        NuScenes.from_infos(path, own)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda info: info.pop("token"), "frame 0 has no 'token'"),
        (lambda info: info["images"].pop("CAM_BACK"), "frame 0, 'images' has no 'CAM_BACK'"),
        (lambda info: info["images"]["CAM_BACK"].pop("lidar2cam"), "'CAM_BACK' has no 'lidar2cam'"),
        (lambda info: info["images"]["CAM_BACK"].update(img_path="../../x.jpg"), "which is not in a folder 'samples'"),
        (lambda info: info["images"]["CAM_BACK"].update(img_path=".."), "expected a plain name"),
        (lambda info: info.update(ego2global=[[1.0]]), "expected 4 by 4 finite numbers"),
        (lambda info: info.update(timestamp="now"), "expected a finite number"),
        (lambda info: info.update(images=[]), "expected a record"),
    ],
)
def test_frames_of_info_files_are_checked(scenes, tmp_path, spoil, said):
    document = mmdet3d_1x_of(scenes)
    spoil(document["data_list"][0])
    (tmp_path / "infos.pkl").write_bytes(pickle.dumps(document))
    with pytest.raises(DatasetError, match=said):
        NuScenes.from_infos(tmp_path / "infos.pkl", scenes)


def test_missing_tables(own):
    (own / "v1.0-synth" / "ego_pose.json").unlink()
    with pytest.raises(DatasetError, match=r"ego_pose\.json is missing"):
        NuScenes(own)
    (own / "v1.0-synth" / "ego_pose.json").write_text("{")
    with pytest.raises(DatasetError, match=r"cannot read the table .*ego_pose\.json"):
        NuScenes(own)
    (own / "v1.0-synth" / "ego_pose.json").write_text('["a"]')
    with pytest.raises(DatasetError, match=r"ego_pose\.json is not a list of records"):
        NuScenes(own)
    with pytest.raises(DatasetError, match=r"v1\.0-mini is not there: there is v1\.0-synth"):
        NuScenes(own, "v1.0-mini")
    (own / "v1.0-mini").mkdir()
    (own / "v1.0-mini" / "sample.json").write_text("[]")
    with pytest.raises(DatasetError, match="cannot choose"):
        NuScenes(own)
    with pytest.raises(DatasetError, match="is it the nuScenes folder"):
        NuScenes(own / "samples")


def test_broken_links_between_tables(own):
    path = own / "v1.0-synth" / "ego_pose.json"
    poses = json.loads(path.read_text())
    path.write_text(json.dumps(poses[1:]))
    with pytest.raises(DatasetError, match=r"ego_pose\.json has no record"):
        NuScenes(own)


def test_images_that_are_stored_turned(own):
    """Read as `Pipeline` reads them."""
    frame = NuScenes(own)[0]
    stored, exif = frame.load_images(), Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(stored[1]).save(frame.images[1], "PNG", exif=exif)
    with pytest.warns(ImageDoubtWarning, match="the EXIF orientation of CAM_FRONT is 3, to be turned by 180 degrees"):
        np.testing.assert_array_equal(frame.load_images(), stored)
    np.testing.assert_array_equal(frame.load_images("ignore"), stored)
    np.testing.assert_array_equal(frame.load_images("apply")[1], stored[1, ::-1, ::-1])


def test_missing_and_wrong_images(own):
    frame = NuScenes(own)[0]
    Image.new("RGB", (10, 10)).save(frame.images[2])
    with pytest.raises(FrameError, match="is 10x10, the rig says 96x54"):
        frame.load_images()
    frame.images[1].write_bytes(b"no image")
    with pytest.raises(FrameError, match="cannot be read as an image"):
        frame.load_images()
    frame.images[0].unlink()
    with pytest.raises(FrameError, match=r"image not found: .*CAM_FRONT_LEFT"):
        frame.load_images()


def test_missing_and_wrong_labels(own):
    frame = NuScenes(own)[0]
    labels = frame.load_labels()
    good = {"semantics": labels.semantics, "mask_camera": labels.mask_camera, "mask_lidar": labels.mask_lidar}
    spoiled = {
        "no array 'mask_lidar'": {name: good[name] for name in ("semantics", "mask_camera")},
        "semantics holds class 18": {**good, "semantics": labels.semantics + 1},
        r"semantics is float64 \(200, 200, 16\)": {**good, "semantics": labels.semantics.astype(float)},
        r"mask_camera is bool \(200, 200\)": {**good, "mask_camera": labels.mask_camera[..., 0]},
    }
    for said, arrays in spoiled.items():
        np.savez(frame.labels, **arrays)
        with pytest.raises(DatasetError, match=said):
            frame.load_labels()
    np.savez(frame.labels, **{**good, "semantics": np.array([object()])}, allow_pickle=True)
    with pytest.raises(DatasetError, match="semantics is object"):
        frame.load_labels()
    frame.labels.write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(DatasetError, match="cannot read the labels"):
        frame.load_labels()
    frame.labels.unlink()
    with pytest.raises(DatasetError, match="unpack Occ3D's gts archive"):
        frame.load_labels()


def test_labels_without_instances(tmp_path):
    volume = np.zeros((200, 200, 16), np.uint8)
    np.savez(tmp_path / "labels.npz", semantics=volume, mask_camera=volume, mask_lidar=volume)
    assert Occ3DLabels.load(tmp_path / "labels.npz").instances is None


def test_wrong_lidar(own):
    frame = NuScenes(own)[0]
    frame.lidar.write_bytes(b"1234" * 7)
    with pytest.raises(DatasetError, match="7 numbers, expected five a point"):
        frame.load_lidar()
    frame.lidar.unlink()
    with pytest.raises(DatasetError, match="cannot read the lidar sweep"):
        frame.load_lidar()


def test_scenes_by_name(scenes):
    assert len(NuScenes(scenes, scenes=["scene-0001"])) == 2
    with pytest.raises(DatasetError, match="no scene scene-0099; there is scene-0001"):
        NuScenes(scenes, scenes=["scene-0099"])
    with pytest.raises(DatasetError, match="has no frame 'abc'"):
        NuScenes(scenes).find("abc")


def test_class_names_are_those_of_occ3d():
    assert OCC3D_CLASSES[0] == "others"
    assert OCC3D_CLASSES[17] == "free"
