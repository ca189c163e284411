import threading
import warnings

import numpy as np
import openvino as ov
import PIL
import pytest
import simplejpeg
from PIL import Image

from occvino.errors import ArtifactError, DeviceError, FrameError, OccvinoError, RigError
from occvino.files import OutputError
from occvino.geometry.rig import Rig
from occvino.images import inputs as preprocess
from occvino.images.decode import ImageDoubtWarning
from occvino.runtime import Occupancy, Pipeline
from occvino.runtime.devices import check_release
from tests.conftest import make_camera


@pytest.fixture(scope="module")
def pipeline(nano):
    """In f32, which is what PyTorch computes in; a CPU with bf16 units would choose those."""
    return Pipeline(nano.path, precision="f32")


def test_labels_are_those_of_pytorch(pipeline, rig, images):
    from occvino.conversion.torch_pipeline import TorchPipeline

    occupancy = pipeline(images, rig)
    expected = TorchPipeline("occvino-nano", None)(images, rig)
    assert (occupancy.labels == expected.labels).mean() > 0.9999
    # labels that were one class per height would agree whatever the network did
    commonest = [np.bincount(level.reshape(-1)).argmax() for level in np.moveaxis(occupancy.labels, 2, 0)]
    assert (occupancy.labels != commonest).mean() > 0.05
    assert occupancy.extras["logits"].shape == (200, 200, 16, 18)
    assert occupancy.extras["depth"].shape == (6, 44, 8, 22)


@pytest.fixture
def turned(rig, images, tmp_path):
    """The same images, stored upside down with an EXIF orientation that says so."""
    exif = Image.Exif()
    exif[0x0112] = 3
    for name, image in images.items():
        Image.fromarray(image[::-1, ::-1]).save(tmp_path / f"{name}.png", exif=exif)
    return tmp_path


@pytest.mark.slow
def test_an_exif_orientation_is_warned_of_applied_or_ignored_by_all_three_forms(nano, rig, images, turned):
    from occvino.conversion.onnx_pipeline import OnnxPipeline
    from occvino.conversion.torch_pipeline import TorchPipeline

    stored = {name: image[::-1, ::-1] for name, image in images.items()}
    for make in (
        lambda **exif: Pipeline(nano.path, precision="f32", **exif),
        lambda **exif: OnnxPipeline(nano, **exif),
        lambda **exif: TorchPipeline("occvino-nano", None, **exif),
    ):
        with pytest.warns(ImageDoubtWarning, match="is 3, to be turned by 180 degrees") as caught:
            found = make()(turned, rig)
        assert [each.filename for each in caught] == [__file__]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(found.labels, make()(stored, rig).labels)
            np.testing.assert_array_equal(make(exif="ignore")(turned, rig).labels, found.labels)
            upright = make(exif="apply")(turned, rig).labels
            np.testing.assert_array_equal(upright, make()(images, rig).labels)
        assert (upright != found.labels).any()
        with pytest.raises(OccvinoError, match="exif 'turn' is not one of warn, apply, ignore"):
            make(exif="turn")


def test_different_frames_give_different_labels(pipeline, rig, images):
    dark = {name: frame // 4 for name, frame in images.items()}
    assert (pipeline(images, rig).labels != pipeline(dark, rig).labels).any()


def test_results_are_not_overwritten_by_the_next_call(pipeline, rig, images):
    first = pipeline(images, rig)
    kept = first.labels.copy()
    pipeline({name: frame // 4 for name, frame in images.items()}, rig)
    np.testing.assert_array_equal(first.labels, kept)


def test_camera_order_of_the_rig_does_not_matter(pipeline, rig, images):
    shuffled = rig.select(reversed(rig.names))
    np.testing.assert_array_equal(pipeline(images, shuffled).labels, pipeline(images, rig).labels)
    in_order = [images[name] for name in shuffled.names]
    np.testing.assert_array_equal(pipeline(in_order, shuffled).labels, pipeline(images, rig).labels)
    from occvino.conversion.torch_pipeline import TorchPipeline

    torch_pipeline = TorchPipeline("occvino-nano", None)
    np.testing.assert_array_equal(torch_pipeline(in_order, shuffled).labels, torch_pipeline(images, rig).labels)
    with pytest.raises(FrameError, match="5 images for a rig of 6 cameras"):
        pipeline(in_order[:5], shuffled)


def test_the_plan_is_kept_until_the_rig_moves(pipeline, rig):
    plan = pipeline.plan(rig)
    assert pipeline.plan(Rig(rig.cameras)) is plan
    moved = Rig((make_camera(rig.names[0], yaw=54.9), *rig.cameras[1:]))
    assert pipeline.plan(moved) is not plan
    assert not np.array_equal(pipeline.plan(moved).ranks_depth, plan.ranks_depth)


def test_a_moved_rig_moves_the_labels(pipeline, rig, images):
    moved = Rig(tuple(make_camera(camera.name, yaw=0.0) for camera in rig.cameras))
    assert (pipeline(images, moved).labels != pipeline(images, rig).labels).mean() > 0.05


@pytest.mark.filterwarnings("ignore:none of the")
def test_a_rig_that_misses_the_grid_is_refused_and_told_what_is_wrong(pipeline, rig, images):
    from dataclasses import replace

    far = Rig(tuple(replace(camera, sensor2ego=_lifted(camera.sensor2ego)) for camera in rig.cameras))
    with pytest.raises(RigError, match="no point .* is in the grid of .*: likely: translations are in millimetres"):
        pipeline(images, far)
    assert pipeline(images, rig).labels.any()  # a right rig goes on


def _lifted(matrix):
    lifted = matrix.copy()
    lifted[2, 3] = 500.0
    return lifted


def test_a_rig_is_needed_unless_baked(pipeline, images):
    with pytest.raises(ArtifactError, match="takes the calibration as an input: give the rig"):
        pipeline(images)


def test_what_runs_is_read_back(pipeline):
    assert pipeline.running.devices == ("CPU",)
    assert "CPU" in str(pipeline.running)


def test_what_decodes_jpeg_files_is_told(pipeline, monkeypatch):
    assert pipeline.running.jpeg_decoder == f"simplejpeg {simplejpeg.__version__}"
    assert str(pipeline.running).endswith(f"; JPEG by simplejpeg {simplejpeg.__version__}")
    monkeypatch.setattr("occvino.images.decode.simplejpeg", None)
    assert pipeline.running.to_dict()["jpeg_decoder"] == f"Pillow {PIL.__version__}"


def test_a_call_reads_cameras_side_by_side_and_leaves_no_thread(pipeline, rig, images, monkeypatch):
    read, two = preprocess.read, threading.Barrier(2, timeout=20)
    monkeypatch.setattr(preprocess, "read", lambda *given: (two.wait(), read(*given))[1])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before = threading.active_count()
    pipeline(images, rig)
    assert threading.active_count() == before


def test_threads_and_precision_are_honoured(nano):
    running = Pipeline(nano, precision="f32", threads=1).running
    assert (running.precision, running.threads) == ("fp32", 1)


def test_a_precision_the_device_does_not_have_is_an_error(nano):
    """This CPU has no half-precision arithmetic; the plugin says fp32 or bf16 then, and so do we."""
    if "FP16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU computes in fp16")
    with pytest.raises(DeviceError, match="CPU computes in (fp32|bf16), fp16 was asked for"):
        Pipeline(nano, precision="f16")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("npu", r"there is no device NPU: devices here: CPU.*; AUTO takes one of them, HETERO:A,B several"),
        ("TPU", "there is no device TPU: devices here: CPU"),
        ("AUTO:TPU,CPU", "there is no device TPU: devices here: CPU"),  # OpenVINO passes over it without a word
        ("gpu:0", r"there is no device GPU:0: did you mean GPU\.0\?"),
        ("HETERO:NPU", r"HETERO:NPU cannot run this model \(devices here: CPU"),
    ],
)
def test_a_device_that_is_not_there_is_an_error(nano, device, message):
    with pytest.raises(DeviceError, match=message):
        Pipeline(nano, device)


def test_a_pipeline_checks_the_release_first(nano, monkeypatch):
    monkeypatch.setattr(ov, "__version__", "2025.4.0-1-abc")
    with pytest.raises(DeviceError, match="OpenVINO 2025.4.0 is installed"):
        Pipeline(nano)


def test_an_old_openvino_is_refused():
    with pytest.raises(
        DeviceError, match=r"OpenVINO 2024\.6\.0 is installed, 2026\.1 or newer is needed: pip install -U"
    ):
        check_release("2024.6.0-17404-4c0f47d2335-releases/2024/6")
    check_release("2026.4.1-22982-e213a147257")
    check_release("2027.0.0")
    check_release("custom_master_build")


def test_occupancy_round_trips_through_its_file(pipeline, rig, images, tmp_path):
    occupancy = pipeline(images, rig)
    occupancy.save(tmp_path / "labels.npz")
    loaded = Occupancy.load(tmp_path / "labels.npz")
    np.testing.assert_array_equal(loaded.labels, occupancy.labels)
    assert (loaded.grid, loaded.class_names) == (occupancy.grid, occupancy.class_names)
    assert set(loaded.extras) == {"logits", "depth"}
    whole = (tmp_path / "labels.npz").read_bytes()
    for broken in (b"PK nonsense", b"PK\x03\x04", whole[: len(whole) // 2], whole[:200] + b"x" * 50 + whole[250:], b""):
        (tmp_path / "bad.npz").write_bytes(broken)
        with pytest.raises(ArtifactError, match="is not an occupancy file"):
            Occupancy.load(tmp_path / "bad.npz")
    with pytest.raises(OutputError, match="cannot write"):
        occupancy.save(tmp_path)
