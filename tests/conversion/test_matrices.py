"""IRs that take calibration as matrices: the geometry in the graph against its twins, and the whole artifact."""

from dataclasses import replace

import numpy as np
import openvino as ov
import openvino.opset8 as ops
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from occvino.artifact import IR, Artifact
from occvino.cli.app import app
from occvino.conversion import convert
from occvino.conversion.matrices import MatrixGraph
from occvino.conversion.verify import verify
from occvino.conversion.verify_matrices import NEAR, _off, computed_geometry
from occvino.datasets.shipped import shipped_scene
from occvino.errors import ArtifactError, OccvinoError, RigError
from occvino.geometry.inputs import camera_vectors, stereo_warps
from occvino.geometry.lens import Lens
from occvino.geometry.matrices import (
    CELLS,
    MATRIX_INPUTS,
    POINTS_LOST,
    Matrices,
    border_distances,
    cells_in_order,
    cells_of_positions,
    matrix_inputs,
    positions,
)
from occvino.geometry.rig import Rig
from occvino.geometry.transforms import pose
from occvino.images.layout import ImageInput
from occvino.runtime import Pipeline
from occvino.runtime.calibration import CALIBRATION, cut_calibration
from occvino.runtime.npu_parts import npu_parts
from occvino.variant import DepthNet, Stereo
from tests.geometry.test_lift import SMALL
from tests.geometry.test_matrices import matrix_calibrations
from tests.small import SMALL as SMALL_NETWORKS
from tests.small import known

pytestmark = pytest.mark.slow

TEMPORAL = replace(SMALL, depth_net=DepthNet(8), past_frames=1, stereo=Stereo())


def run_graph(calibration, variant, form):
    """What the graph computes of matrices: cells, camera vectors, warps."""
    count = len(calibration)
    parameters = [
        ops.parameter([count, side, side], np.float32, name=name)
        for name, side in zip(MATRIX_INPUTS, (3, 4), strict=True)
    ]
    graph = MatrixGraph(variant, form, *parameters)
    lifted = len(form.image_sizes) * variant.lifted_frames
    outputs = [graph.cells()]
    outputs += [graph.camera_vectors(lifted), graph.stereo_warps(lifted)] if variant.stereo else []
    model = ov.Model(outputs, parameters, "geometry")
    assert all(op.get_type_info().version_id.startswith("opset") for op in model.get_ops())
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    inputs = matrix_inputs(calibration, variant, form)
    return list(compiled([inputs[name] for name in MATRIX_INPUTS]).values())


@settings(max_examples=12, deadline=None)
@given(matrix_calibrations())
def test_cells_of_the_graph_are_those_of_numpy(given_):
    """Both ways of laying the points out. A plugin may fuse a product with a sum: borders at most decide otherwise."""
    calibration, form = given_
    inputs = matrix_inputs(calibration, SMALL, form)
    expected = positions(inputs, SMALL, form)
    cell = cells_of_positions(expected, SMALL)
    for pieces in (None, 4):
        (found,) = run_graph(calibration, SMALL, replace(form, pieces=pieces))
        assert found.dtype == np.float32
        assert found.min() >= 0
        other = cells_in_order(found, SMALL) != cell
        assert (border_distances(expected, SMALL)[other] < NEAR).all()
        assert other.mean() < 0.01


@settings(max_examples=8, deadline=None)
@given(matrix_calibrations(TEMPORAL))
def test_vectors_and_warps_of_the_graph_are_those_of_numpy(given_):
    calibration, form = given_
    _, vectors, warps = run_graph(calibration, TEMPORAL, form)
    np.testing.assert_allclose(vectors, camera_vectors(calibration, TEMPORAL), rtol=1e-6, atol=1e-6)
    expected = stereo_warps(calibration, TEMPORAL)
    assert _off(warps, expected, TEMPORAL) < 1e-2
    np.testing.assert_allclose(warps, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_a_frame_that_stands_in_for_itself_is_warped_nowhere(rig):
    variant = replace(TEMPORAL, input_size=(48, 96))
    calibration = rig.calibration(variant)
    joined = type(calibration).join([calibration] * variant.frames)
    warps = run_graph(joined, variant, Matrices(((198, 352),) * 6, None))[2]
    np.testing.assert_array_equal(warps, np.tile(np.eye(3, 4, dtype=np.float32), (len(warps), 1, 1)))


@pytest.fixture(scope="module")
def made(tmp_path_factory, rig):
    """Nano with random weights for the rig of `conftest`: as a plan, and as matrices in both poolings."""
    out = tmp_path_factory.mktemp("matrices")
    more = {"precision": "fp32", "outputs": ("logits",), "rig": rig}
    return {
        "plan": convert("occvino-nano", None, out / "plan", **more),
        "columns": convert("occvino-nano", None, out / "columns", calibration="matrices", **more),
        "scatter": convert("occvino-nano", None, out / "scatter", calibration="matrices", pooling="scatter", **more),
    }


def test_inputs_and_outputs_of_the_ir(made):
    for name, lost in (("columns", [POINTS_LOST]), ("scatter", [])):
        model = ov.Core().read_model(made[name].path / IR)
        assert {value.get_any_name(): list(value.get_shape()) for value in model.inputs} == {
            "images": [6, 128, 352, 3],
            "intrinsics": [6, 3, 3],
            "camera2ego": [6, 4, 4],
        }
        assert [value.get_any_name() for value in model.outputs] == ["labels", "logits", *lost]
        assert all(op.get_type_info().version_id.startswith("opset") for op in model.get_ops())
        assert not any(value.get_partial_shape().is_dynamic for op in model.get_ops() for value in op.outputs())
        manifest = Artifact.open(made[name].path).manifest
        assert manifest.matrices == made[name].manifest.matrices
        assert manifest.matrices.image_sizes == ((198, 352),) * 6
        assert (manifest.matrices.pieces is None) == (name == "scatter")
    assert "matrices" not in (made["plan"].path / "occvino.json").read_text()


def test_logits_differ_where_cells_do_and_nowhere_else(made, rig, images):
    """On the cells that the graph itself computed, `verify` finds PyTorch's numbers."""
    pipes = {name: Pipeline(artifact, precision="fp32") for name, artifact in made.items()}
    found = {name: pipe(images, rig) for name, pipe in pipes.items()}
    for name in ("columns", "scatter"):
        report = verify(made[name], images, rig)
        assert report.ok, report.first_divergence
        assert report.computed.points == 46464
        assert report.computed.farthest < NEAR
        assert (found[name].labels == found["plan"].labels).mean() > 0.99
    np.testing.assert_allclose(found["columns"].extras["logits"], found["scatter"].extras["logits"], atol=1e-3)
    assert set(found["columns"].extras) == {"logits"}


def test_a_moved_rig_is_followed(made, rig, images):
    turn = pose([np.cos(0.1), 0, 0, np.sin(0.1)], [0.3, 0, 0])
    moved = Rig(tuple(replace(camera, sensor2ego=turn @ camera.sensor2ego) for camera in rig.cameras))
    pipe, plan = (Pipeline(made[name], precision="fp32") for name in ("columns", "plan"))
    before = pipe(images, rig).labels
    assert (pipe(images, moved).labels == plan(images, moved).labels).mean() > 0.99
    assert (pipe(images, moved).labels != before).mean() > 0.05


def test_a_rig_that_does_not_fit_is_an_error(made, rig, images, tmp_path):
    """Rolled by 90 degrees: a column of pixels sees the ground from left to right. The scatter takes it."""
    roll = pose([np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)], [0, 0, 0])
    rolled = Rig(tuple(replace(camera, sensor2ego=camera.sensor2ego @ roll) for camera in rig.cameras))
    with (
        pytest.warns(UserWarning, match="doubts about the rig"),
        pytest.raises(RigError, match=r"\d+ points of this rig found no place .* --pooling scatter, which fits any"),
    ):
        Pipeline(made["columns"])(images, rolled)
    with pytest.warns(UserWarning, match="doubts about the rig"):
        found, expected = (Pipeline(made[name], precision="fp32")(images, rolled) for name in ("scatter", "plan"))
    assert (found.labels == expected.labels).mean() > 0.99


def test_a_camera_that_is_missing_may_be_put_out_of_reach(rig, images, tmp_path):
    """As docs/contract.md says: 1,000 m up, a camera adds nothing, as if the network had been converted without it."""
    names = rig.names[1:]
    made = [
        convert("occvino-nano", None, tmp_path / str(len(some)), rig=some, precision="fp32", calibration="matrices")
        for some in (rig, rig.select(names))
    ]
    away = pose([1, 0, 0, 0], [0, 0, 1000])
    alone = Rig((replace(rig.cameras[0], sensor2ego=away), *rig.cameras[1:]))
    blank = {**images, rig.names[0]: np.zeros_like(images[rig.names[0]])}
    with pytest.warns(UserWarning, match="doubts about the rig"):
        found = Pipeline(made[0], precision="fp32")(blank, alone).labels
    expected = Pipeline(made[1], precision="fp32")(images, rig.select(names)).labels
    assert (found == expected).mean() > 0.9999


def test_a_lens_is_refused_with_the_fix(made, rig, images):
    bent = Rig((replace(rig.cameras[0], lens=Lens("plumb_bob", (-0.1, 0, 0, 0, 0))), *rig.cameras[1:]))
    with pytest.raises(ArtifactError, match=r"no lens, which CAM_FRONT_LEFT have: undistort .* --calibration plan"):
        Pipeline(made["columns"])(images, bent)
    pytest.importorskip("cv2")
    assert Pipeline(made["columns"], undistort=True)(images, bent).labels.shape == (200, 200, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"calibration": "matrix"}, "calibration 'matrix': expected one of plan, matrices"),
        ({"pooling": "bag"}, "pooling 'bag': with calibration as matrices it is columns or scatter"),
        ({"pooling": "columns", "cameras": 4}, "pooling by columns is sized for a rig"),
        ({"bake_calibration": True}, "bake_calibration a constant: give one of the two"),
    ],
)
def test_contradictions_are_refused(tmp_path, rig, options, message):
    more = {"rig": rig} if "bake_calibration" in options else {}
    with pytest.raises(OccvinoError, match=message):
        convert("occvino-nano", None, tmp_path / "out", **{"calibration": "matrices", **options}, **more)
    with pytest.raises(OccvinoError, match="expected one of bag, columns"):
        convert("occvino-nano", None, tmp_path / "out", pooling="scatter")


def test_raw_images_of_the_ir_and_of_the_rig(tmp_path, rig, images):
    """It resizes images itself, and its geometry is for those; the rig's own are smaller, so that the host resizes."""
    takes = ImageInput((396, 704))
    for calibration in ("plan", "matrices"):
        more = {"image_input": takes, "calibration": calibration}
        convert("occvino-nano", None, tmp_path / calibration, precision="fp32", **more)
    assert Artifact.open(tmp_path / "matrices").manifest.matrices.image_sizes == ((396, 704),) * 6
    pipes = [Pipeline(tmp_path / calibration, precision="fp32") for calibration in ("plan", "matrices")]
    with pytest.warns(UserWarning, match="Pillow resizes them on the host"):
        a, b = (pipe(images, rig).labels for pipe in pipes)
    assert (a == b).mean() > 0.99
    large = rig.scaled(2)
    doubled = {name: image.repeat(2, 0).repeat(2, 1) for name, image in images.items()}
    a, b = (pipe(doubled, large).labels for pipe in pipes)
    assert (a == b).mean() > 0.99


@pytest.mark.parametrize(
    ("name", "form"),
    [("small-pano", "batch"), ("small-stereo", "batch"), ("small-stereo", "exact"), ("small-stereo", "fast")],
)
def test_depth_nets_and_stereo(tmp_path, name, form):
    variant = replace(next(each for each in SMALL_NETWORKS if each.name == name), input_size=(64, 128))
    frames = [(frame.image_files(), frame.rig) for frame in list(shipped_scene())[:3]]
    with known(variant):
        more = {"precision": "fp32", "rig": frames[0][1], "temporal": form, "calibration": "matrices"}
        artifact = convert(name, None, tmp_path / "matrices", **more)
        past = frames[::-1][1 : variant.frames]
        report = verify(artifact, *frames[-1], past=past)
        assert report.ok, report.first_divergence
        assert report.computed.vectors < 1e-6
        assert (report.computed.warps is None) == (variant.stereo is None)


def test_an_npu_gets_whole_numbers_whole(made):
    """Cells would not survive f16: what computes with matrices is a part of its own, for the CPU, and hands on i32."""
    for name in ("columns", "scatter"):
        model = ov.Core().read_model(made[name].path / IR)
        part, rest = cut_calibration(model)
        assert {value.get_any_name() for value in part.inputs} == set(MATRIX_INPUTS)
        kinds = {value.get_element_type().get_type_name() for value in part.outputs}
        assert "i32" in kinds
        assert "f32" not in kinds
        most = max(np.prod(list(value.get_shape())) for value in part.outputs)
        assert most <= 46464 * 4  # an index is not brought to the size of the features there
        assert not {value.get_any_name() for value in rest.inputs} & set(MATRIX_INPUTS)
        assert [value.get_any_name() for value in rest.outputs] == ["labels", "logits"]
        parts = npu_parts(model)
        assert list(parts) == [CALIBRATION, "encoder", "rest"]
        assert parts["encoder"][1] == 6


def test_stages_run_as_the_whole(made, rig, images):
    whole = Pipeline(made["columns"], precision="fp32")(images, rig)
    stages = {"encoder": "CPU", "pool": "CPU", "trunk": "CPU"}
    found = Pipeline(made["columns"], stages=stages, precision="fp32")(images, rig)
    np.testing.assert_array_equal(found.labels, whole.labels)


@pytest.mark.parametrize("name", ["columns", "scatter"])
def test_geometry_is_marked_to_be_computed_in_fp32(made, name):
    assert (made[name].path / IR).read_text().count('name="precise"') > 40


@pytest.mark.usefixtures("bf16")
@pytest.mark.parametrize("name", ["columns", "scatter"])
def test_geometry_stays_in_fp32_where_the_rest_does_not(made, rig, name):
    _, _, computed = computed_geometry(made[name], [rig], "CPU", "bf16")
    assert computed.ok, computed


def test_the_command_line(tmp_path, rig):
    rig.save(tmp_path / "rig.json")
    run = CliRunner().invoke
    asked = ["convert", "occvino-nano", "--random-weights", "--out", str(tmp_path / "m"), "--calibration", "matrices"]
    found = run(app, [*asked, "--rig", str(tmp_path / "rig.json")])
    assert found.exit_code == 0, found.output
    told = run(app, ["info", str(tmp_path / "m")])
    assert "as matrices, for raw images of 198x352" in " ".join(told.output.split()).replace("│", "").replace("  ", " ")
    assert CELLS in (tmp_path / "m" / "model.xml").read_text()


def test_int8(tmp_path):
    """Quantised before the geometry goes in, so that none of it is."""
    scene = shipped_scene()
    more = {"dataset": scene, "calibration_frames": 3, "accuracy_budget": 100, "rig": scene[0].rig}
    artifact = convert("occvino-nano", None, tmp_path / "int8", precision="int8", calibration="matrices", **more)
    model = ov.Core().read_model(artifact.path / IR)
    quantised = [op.get_friendly_name() for op in model.get_ops() if op.get_type_name() == "FakeQuantize"]
    assert quantised
    assert not any(name.startswith("matrices/") for name in quantised)
    frame = scene[0]
    assert verify(artifact, frame.image_files(), frame.rig).computed.ok
