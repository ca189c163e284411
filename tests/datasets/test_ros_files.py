"""camera_info and transforms in the forms that ROS's own tools write: all give one and the same rig."""

import math
import textwrap

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from occvino.cli.app import app
from occvino.datasets.bags.messages import BagError
from occvino.datasets.ros_files import read_ros
from occvino.geometry.lens import Lens
from occvino.geometry.rig import Rig

ECHO = """\
header:
  stamp: {{sec: 12, nanosec: 5}}
  frame_id: {frame}
height: 720
width: 1280
distortion_model: {model}
{d}: {coefficients}
{k}: [1000.5, 0.0, 640.25, 0.0, 1001.5, 360.75, 0.0, 0.0, 1.0]
{r}: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
{p}: [900.0, 0.0, 630.0, 0.0, 0.0, 900.0, 350.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 0
binning_y: 0
roi: {{x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}}
---
"""
CALIBRATION = """\
image_width: 1280
image_height: 720
camera_name: front
camera_matrix:
  rows: 3
  cols: 3
  data: [1000.5, 0.0, 640.25, 0.0, 1001.5, 360.75, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.25, 0.05, 0.0001, -0.0002, 0.0]
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [900, 0, 630, 0, 0, 900, 350, 0, 0, 0, 1, 0]}
"""
TF = """\
transforms:
- header: {stamp: {sec: 0, nanosec: 0}, frame_id: base_link}
  child_frame_id: front_link
  transform:
    translation: {x: 1.5, y: 0.1, z: 1.4}
    rotation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}
- header: {stamp: {sec: 0, nanosec: 0}, frame_id: front_link}
  child_frame_id: front_optical
  transform:
    translation: {x: 0.0, y: 0.0, z: 0.0}
    rotation: {x: -0.5, y: 0.5, z: -0.5, w: 0.5}
---
transforms:
- header: {stamp: {sec: 0, nanosec: 0}, frame_id: base_link}
  child_frame_id: back_optical
  transform:
    translation: {x: -0.9, y: 0.0, z: 1.5}
    rotation: {x: 0.5, y: 0.5, z: -0.5, w: -0.5}
---
"""
URDF = f"""\
<robot name="car">
  <link name="base_link"/><link name="front_link"/><link name="front_optical"/><link name="back_optical"/>
  <joint name="a" type="fixed"><parent link="base_link"/><child link="front_link"/>
    <origin xyz="1.5 0.1 1.4" rpy="0 0 0"/></joint>
  <joint name="b" type="fixed"><parent link="front_link"/><child link="front_optical"/>
    <origin rpy="{-math.pi / 2} 0 {-math.pi / 2}"/></joint>
  <joint name="c" type="fixed"><parent link="base_link"/><child link="back_optical"/>
    <origin xyz="-0.9 0 1.5" rpy="{-math.pi / 2} 0 {math.pi / 2}"/></joint>
</robot>
"""
LENS = Lens("plumb_bob", (-0.25, 0.05, 0.0001, -0.0002, 0.0))


def echo(frame, *, upper=False, model="plumb_bob", coefficients="[-0.25, 0.05, 0.0001, -0.0002, 0.0]"):
    names = {key: key.upper() if upper else key for key in "dkrp"}
    return ECHO.format(frame=frame, model=model, coefficients=coefficients, **names)


@pytest.fixture
def files(tmp_path):
    def write(**texts):
        for name, text in texts.items():
            place = tmp_path / name.replace("__", ".")
            place.write_text(textwrap.dedent(text))
        return tmp_path

    fisheye = echo("back_optical", model="equidistant", coefficients="[0.01, 0.002, 0.0, 0.0]")
    write(front__yaml=echo("front_optical"), back__yaml=fisheye, tf__yaml=TF, car__urdf=URDF, cal__yaml=CALIBRATION)
    write(ros1__yaml=echo("/front_optical", upper=True))
    return write


def check_front(camera):
    np.testing.assert_array_equal(camera.intrinsics, [[1000.5, 0, 640.25], [0, 1001.5, 360.75], [0, 0, 1]])
    assert (camera.width, camera.height, camera.lens) == (1280, 720, LENS)
    expected = [[0, 0, 1, 1.5], [-1, 0, 0, 0.1], [0, -1, 0, 1.4], [0, 0, 0, 1]]
    np.testing.assert_allclose(camera.sensor2ego, expected, atol=1e-9)


@pytest.mark.parametrize("tf", ["tf.yaml", "car.urdf"])
@pytest.mark.parametrize(
    ("info", "frames"), [("front.yaml", {}), ("ros1.yaml", {}), ("cal.yaml", {"F": "front_optical"})]
)
def test_all_forms_give_one_rig(files, tf, info, frames):
    folder = files()
    rig = read_ros({"F": folder / info, "B": folder / "back.yaml"}, [folder / tf], frames=frames)
    check_front(rig.cameras[0])
    back = rig.cameras[1]
    assert back.lens == Lens("fisheye", (0.01, 0.002, 0.0, 0.0))
    np.testing.assert_allclose(back.sensor2ego[:3, 2], [-1, 0, 0], atol=1e-9)  # looks back
    np.testing.assert_allclose(back.sensor2ego[:3, 1], [0, 0, -1], atol=1e-9)
    np.testing.assert_allclose(back.sensor2ego[:3, 3], [-0.9, 0, 1.5])


def test_base_link_may_be_elsewhere(files):
    folder = files()
    base = np.eye(4)
    base[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    base[:3, 3] = [1.0, 0.0, 0.3]
    rig = read_ros({"F": folder / "front.yaml"}, [folder / "tf.yaml"], base2ego=base)
    np.testing.assert_allclose(rig.cameras[0].sensor2ego[:3, 3], [1.0 - 0.1, 1.5, 1.7])
    np.testing.assert_allclose(rig.cameras[0].sensor2ego[:3, 2], [0, 1, 0], atol=1e-9)


def test_rectified_images_have_p_and_no_lens(files):
    folder = files()
    rig = read_ros({"F": folder / "front.yaml"}, [folder / "tf.yaml"], rectified=True)
    assert rig.cameras[0].lens is None
    np.testing.assert_array_equal(rig.cameras[0].intrinsics, [[900, 0, 630], [0, 900, 350], [0, 0, 1]])


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"front__yaml": ""}, "holds no camera_info"),
        ({"front__yaml": "a: ["}, "cannot read .*front.yaml"),
        ({"front__yaml": "height: 720\nk: [1]"}, "width is None, expected a whole number of pixels"),
        ({"front__yaml": "height: 720\nwidth: 1280\nd: []\nk: [1, 2]"}, "k has 2 numbers, expected 9"),
        ({"front__yaml": "height: 720\nwidth: 1280\nk: [1, 2]"}, "d is None, expected a list of numbers"),
        ({"front__yaml": CALIBRATION}, "names no frame .*--frame F=FRAME; the transforms have back_optical, base_link"),
        ({"front__yaml": echo("front_optical", model="omni")}, "lens model 'omni' is not supported"),
        ({"front__yaml": echo("other_optical")}, "tf has no frame 'other_optical'"),
        ({"tf__yaml": "a: 1"}, "has no 'transform'"),
        ({"tf__yaml": ""}, "holds no transform"),
        ({"tf__yaml": TF.replace("w: 1.0", "w: 3.0")}, "base_link -> front_link: .* is not a unit quaternion"),
        ({"tf__yaml": TF.replace("frame_id: front_link}", "frame_id: mast}")}, "tf does not connect front_optical"),
        ({"tf__yaml": TF.replace("frame_id: base_link", "frame_id: front_optical", 1)}, "tf goes in a ring"),
    ],
)
def test_bad_input_names_the_file_and_the_fix(files, texts, words):
    folder = files(**texts)
    with pytest.raises(BagError, match=words):
        read_ros({"F": folder / "front.yaml"}, [folder / "tf.yaml"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<robot/>", "has no <joint>"),
        ("<robot", "cannot read"),
        (URDF.replace('rpy="0 0 0"', 'rpy="0 0 90"'), "rpy of joint 'a' is .* expected radians: are these degrees"),
        (URDF.replace('xyz="1.5 0.1 1.4"', 'xyz="1.5 0.1"'), "xyz of joint 'a' is '1.5 0.1', expected three numbers"),
        (URDF.replace('<child link="front_link"/>', ""), "joint 'a' has no parent or child link"),
    ],
)
def test_a_bad_urdf_is_refused(files, text, words):
    folder = files(car__urdf=text)
    with pytest.raises(BagError, match=words):
        read_ros({"F": folder / "front.yaml"}, [folder / "car.urdf"])


def test_joints_that_move_are_told(files):
    folder = files(car__urdf=URDF.replace('name="a" type="fixed"', 'name="a" type="revolute"'))
    with pytest.warns(UserWarning, match="joints that move are taken at zero: a"):
        check_front(read_ros({"F": folder / "front.yaml"}, [folder / "car.urdf"]).cameras[0])


def test_the_command(files):
    folder = files()
    names = [f"CAM_FRONT={folder / 'front.yaml'}", f"CAM_BACK={folder / 'back.yaml'}"]
    options = ["--tf", folder / "tf.yaml", "--out", folder / "rig.json", "--base-pose", "0,0,0.3"]
    result = CliRunner().invoke(app, ["rig", "from-ros", *map(str, [*names, *options])])
    assert result.exit_code == 0, result.output
    assert "read as: K and D of raw images" in result.output
    rig = Rig.load(folder / "rig.json")
    assert rig.names == ("CAM_FRONT", "CAM_BACK")
    assert rig.cameras[0].sensor2ego[2, 3] == pytest.approx(1.7)
