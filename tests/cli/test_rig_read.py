"""The commands that write a rig from another project's calibration, in an application of their own."""

import pickle

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from occvino.cli import rig_read
from occvino.datasets.shipped import SCENE, shipped_scene
from occvino.errors import OccvinoError
from occvino.geometry.readers.poses import pose_from_angles
from occvino.geometry.rig import Rig
from tests.geometry.readers import formats
from tests.geometry.readers.formats import assert_same, renamed, sensor2ego, the_rig, written

COMMANDS = ("from_kalibr", "from_opencv", "from_nuscenes", "from_kitti360", "from_argoverse2", "from_carla")
app = typer.Typer()
for name in COMMANDS:
    app.command(name.replace("_", "-"))(getattr(rig_read, name))


def ran(*arguments):
    """What a command prints."""
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def failed(*arguments):
    """The error of a command."""
    with pytest.raises(OccvinoError) as told:
        CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    return str(told.value)


def six(pose2ego):
    """X,Y,Z,ROLL,PITCH,YAW of a pose, by scipy."""
    yaw, pitch, roll = formats.Rotation.from_matrix(pose2ego[:3, :3]).as_euler("ZYX", degrees=True)
    return ",".join(f"{value:.12f}" for value in (*pose2ego[:3, 3], roll, pitch, yaw))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out" / "rig.json"


def test_every_command_shows_an_example():
    for command in COMMANDS:
        dashed = command.replace("_", "-")
        assert f"Example: occvino rig {dashed}" in " ".join(ran(dashed, "--help").split())


def test_kalibr(tmp_path, out):
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(formats.camchain()))
    told = ran("from-kalibr", path, "--reference-in-ego", six(formats.IMU2EGO), "--out", out)
    assert_same(Rig.load(out), the_rig())
    assert "T_cam_imu (IMU to camera), inverted" in told
    assert "cam0: 1280x720, plumb_bob lens; at x 1.70 y 0.32 z 1.55 m; looks 3 degrees to the left, 6 down" in told
    assert "cam1: 1280x720, fisheye lens; at x 1.52 y -0.49 z 1.50 m; looks 58 degrees to the right, 9 down" in told
    assert told.endswith(f"wrote {out}\nlook whether it is right: occvino rig check {out} --images DIR\n")


def test_kalibr_by_cam0(tmp_path, out):
    path = written(tmp_path / "camchain.yaml", yaml.safe_dump(formats.camchain(chained=True, imu=False)))
    ran("from-kalibr", path, "--reference-in-ego", six(sensor2ego("cam0")), "--out", out)
    assert_same(Rig.load(out), the_rig())
    assert "say where cam0 is" in failed("from-kalibr", path, "--out", out)


def test_a_camera_that_looks_ahead_has_the_angles_that_the_message_says():
    ahead = rig_read.reference_of("1,2,3,-90,0,-90")
    np.testing.assert_allclose(ahead[:3, :3] @ [0, 0, 1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(ahead[:3, :3] @ [1, 0, 0], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(ahead[:3, 3], [1, 2, 3])


def test_opencv(tmp_path, out):
    files = [f"{name}={formats.write_opencv(tmp_path / f'{name}.yml', name)}" for name in ("cam0", "cam1")]
    told = ran("from-opencv", *files, "--out", out)
    assert_same(Rig.load(out), the_rig())
    assert "world to camera" in told
    assert "expected NAME=FILE" in failed("from-opencv", "front.yml", "--out", out)
    assert "each name once" in failed("from-opencv", files[0], files[0], "--out", out)


def test_kitti360(tmp_path, out):
    folder = formats.write_kitti360(tmp_path, formats.IMU2EGO)
    ran("from-kitti360", folder, "--reference-in-ego", six(formats.IMU2EGO), "--out", out)
    expected = renamed(the_rig().straight(), ["image_00", "image_01"])
    assert_same(Rig.load(out), expected)
    ran("from-kitti360", folder, "--camera", "image_01", "--reference-in-ego", six(formats.IMU2EGO), "--out", out)
    assert_same(Rig.load(out), expected.select(["image_01"]))
    assert "MEI" in failed("from-kitti360", folder, "--camera", "image_02", "--out", out)


def test_argoverse2(tmp_path, out):
    log = formats.write_argoverse2(tmp_path, *formats.argoverse2_rows(pose_from_angles((0, 0, 0.32), 0, 0, 0)))
    told = ran("from-argoverse2", log, "--out", out)
    assert_same(Rig.load(out), renamed(the_rig().straight(), ["ring_front_center", "ring_front_right"]))
    assert "left out: stereo_front_left" in told


@pytest.mark.parametrize("bridge", [False, True])
def test_carla(tmp_path, out, bridge):
    value = (formats.bridge_objects if bridge else formats.carla_sensors)(np.array([1.4, 0, 0]))
    ran("from-carla", written(tmp_path / "a.json", value), "--reference-in-ego", "1.4,0,0", "--out", out)
    assert_same(Rig.load(out), the_rig().straight(), 1e-15)


def test_nuscenes_from_its_tables(out):
    frames = shipped_scene()
    told = ran("from-nuscenes", SCENE, "--out", out)
    assert Rig.load(out).fingerprint() == frames[0].rig.fingerprint()
    assert f"sample {frames[0].token}" in told
    ran("from-nuscenes", SCENE, "--token", frames[1].token, "--out", out)
    assert Rig.load(out).fingerprint() == frames[1].rig.fingerprint()
    assert "has no frame 'abc'" in failed("from-nuscenes", SCENE, "--token", "abc", "--out", out)
    assert "--root" in failed("from-nuscenes", SCENE, "--root", SCENE, "--out", out)


def test_nuscenes_from_an_info_file(tmp_path, out):
    frame = shipped_scene()[0]
    cams = {}
    for camera, image in zip(frame.rig.cameras, frame.images, strict=True):
        poses = {}
        for field in ("sensor2ego", "ego2global"):
            pose = getattr(camera, field)
            x, y, z, w = formats.Rotation.from_matrix(pose[:3, :3]).as_quat()
            poses |= {f"{field}_rotation": [w, x, y, z], f"{field}_translation": pose[:3, 3].tolist()}
        size = {"width": camera.width, "height": camera.height, "cam_intrinsic": camera.intrinsics.tolist()}
        cams[camera.name] = {"data_path": f"samples/{camera.name}/{image.name}", **size, **poses}
    info = {"token": "a", "scene_name": "scene-1", "timestamp": 1, "cams": cams}
    path = tmp_path / "infos.pkl"
    path.write_bytes(pickle.dumps({"infos": [info], "metadata": {}}))
    ran("from-nuscenes", path, "--out", out)
    for one, other in zip(Rig.load(out).cameras, frame.rig.cameras, strict=True):
        np.testing.assert_allclose(one.sensor2ego, other.sensor2ego, atol=1e-9)
        np.testing.assert_allclose(one.ego2global, other.ego2global, atol=1e-6)
    assert "leave --version out" in failed("from-nuscenes", path, "--version", "v1.0-mini", "--out", out)


@pytest.mark.parametrize("text", ["", "1,2", "1 2 3", "1,2,3,4", "1,2,3,a,5,6", "1,2,nan", "1,2,3,4,5,6,7"])
def test_a_place_that_cannot_be_read_is_refused(tmp_path, out, text):
    path = written(tmp_path / "a.json", formats.carla_sensors(np.zeros(3)))
    told = failed("from-carla", path, "--reference-in-ego", text, "--out", out)
    assert "expected X,Y,Z or X,Y,Z,ROLL,PITCH,YAW" in told
    assert not out.exists()
