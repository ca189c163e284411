"""An artifact that was converted with a crop: the manifest tells it, and all that runs follows it."""

import json
from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from PIL import Image

from occvino.artifact import Artifact, Manifest
from occvino.conversion import convert
from occvino.conversion.raw_images import resizing
from occvino.conversion.torch_pipeline import TorchPipeline
from occvino.conversion.verify import verify
from occvino.errors import RigError
from occvino.evaluation.engines import load_engine
from occvino.geometry.image_transform import ImageTransform
from occvino.geometry.rig import Rig
from occvino.images.inputs import network_images
from occvino.images.layout import ImageInput
from occvino.runtime import Pipeline
from tests.conftest import YAWS, make_camera

pytestmark = pytest.mark.slow

SIZE = (264, 352)
"""4:3. The nano takes 128x352: 136 rows too many, and with the crop "top" the horizon is 4 rows above the image."""


@pytest.fixture(scope="module")
def square_rig():
    return Rig(tuple(make_camera(name, yaw, width=SIZE[1], height=SIZE[0]) for name, yaw in YAWS.items()))


@pytest.fixture(scope="module")
def tall(square_rig):
    rng = np.random.default_rng(3)
    return {name: rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for name in square_rig.names}


@pytest.fixture(scope="module")
def cropped(tmp_path_factory) -> Artifact:
    """It resizes raw images itself."""
    out = tmp_path_factory.mktemp("artifacts") / "cropped"
    return convert("occvino-nano", None, out, precision="fp32", crop="middle", image_input=ImageInput(SIZE))


@pytest.mark.parametrize(("crop", "top"), [("top", 136), ("middle", 68), (100, 100)])
def test_images_that_the_ir_resizes_are_pillows_with_each_crop(crop, top):
    size = (528, 704)
    transform = ImageTransform.for_test(size, (128, 352), crop)
    images = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    by_hand = Image.fromarray(images[0]).resize((352, 264), Image.Resampling.BICUBIC).crop((0, top, 352, top + 128))
    compiled = ov.Core().compile_model(
        resizing(ImageInput(size), transform, 1), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    difference = np.abs(compiled(images)["images"][0] - np.asarray(by_hand).astype(int))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999


def test_a_crop_is_in_the_manifest_and_comes_back(cropped):
    assert json.loads((cropped.path / "occvino.json").read_text())["crop"] == "middle"
    opened = Artifact.open(cropped.path)
    assert opened.manifest.crop == opened.variant.crop == "middle"


def test_rows_come_back_and_an_altered_crop_is_found(cropped, tmp_path):
    text = replace(cropped.manifest, crop=40).to_json()
    assert Manifest.from_json(text.encode(), tmp_path).crop == 40
    with pytest.raises(Exception, match="was altered after it was written"):
        Manifest.from_json(text.replace('"crop": 40', '"crop": 41').encode(), tmp_path)


def test_the_published_crop_is_not_written_so_that_other_releases_read_it(nano):
    assert "crop" not in json.loads((nano.path / "occvino.json").read_text())
    assert nano.variant.crop == "top"


def test_verify_and_all_that_runs_follow_the_crop(cropped, square_rig, tall):
    report = verify(cropped, tall, square_rig)
    assert report.ok, report.first_divergence
    assert report.resized is not None
    assert report.resized.ok
    expected = Pipeline(cropped, precision="f32")(tall, square_rig).labels
    onnx, _ = load_engine("onnxruntime", cropped, device="CPU", precision=None, checkpoint=None)
    torch = TorchPipeline("occvino-nano", None, crop="middle")
    for other in (onnx, torch):
        assert (other(tall, square_rig).labels == expected).mean() > 0.999


def test_pillow_cuts_the_rows_that_the_plan_is_told_of(cropped, square_rig, tall):
    found = network_images(tall, square_rig, cropped.variant)
    np.testing.assert_array_equal(found, np.stack([tall[name][68:196] for name in square_rig.names]))


def test_a_crop_that_loses_the_horizon_is_refused(nano, square_rig, tall, tmp_path):
    with pytest.raises(RigError, match="the principal point is in row 132: .*Convert with --crop middle"):
        Pipeline(nano)(tall, square_rig)
    with pytest.raises(RigError, match="Convert with --crop middle"):
        convert("occvino-nano", None, tmp_path / "out", rig=square_rig)
    assert not (tmp_path / "out").exists()


def test_a_baked_calibration_has_the_crop(square_rig, tall, cropped, tmp_path):
    baked = convert(
        "occvino-nano", None, tmp_path / "b", precision="fp32", rig=square_rig, bake_calibration=True, crop="middle"
    )
    found = Pipeline(baked, precision="f32")(tall).labels
    np.testing.assert_array_equal(found, Pipeline(cropped, precision="f32")(tall, square_rig).labels)
    with pytest.raises(RigError, match="use 0 to 136"):
        convert("occvino-nano", None, tmp_path / "c", image_input=ImageInput(SIZE), crop=137)
