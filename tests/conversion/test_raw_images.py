import json

import numpy as np
import openvino as ov
import pytest
from PIL import Image

from occvino.artifact import Artifact
from occvino.conversion import convert
from occvino.conversion.raw_images import resizing
from occvino.conversion.verify import verify
from occvino.errors import FrameError, OccvinoError
from occvino.geometry.image_transform import ImageTransform
from occvino.geometry.rig import Rig
from occvino.images.inputs import HostResizeWarning
from occvino.images.layout import ImageInput
from occvino.runtime import Pipeline
from occvino.runtime.npu_rules import check_npu_rules
from tests.conftest import make_camera

pytestmark = pytest.mark.slow

SIZE = (198, 352)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Artifact:
    """Stored in half precision: the weights of the filter must not be."""
    out = tmp_path_factory.mktemp("artifacts") / "raw"
    return convert("occvino-nano", None, out, precision="fp16", image_input=ImageInput((396, 704)))


@pytest.fixture(scope="module")
def large_rig():
    from tests.conftest import YAWS

    return Rig(tuple(make_camera(name, yaw, width=704, height=396, focal=560.0) for name, yaw in YAWS.items()))


@pytest.fixture(scope="module")
def large(large_rig):
    rng = np.random.default_rng(1)
    return {name: rng.integers(0, 256, (396, 704, 3), dtype=np.uint8) for name in large_rig.names}


def by_pillow(images, transform):
    resized = [Image.fromarray(p).resize(transform.resized, Image.Resampling.BICUBIC) for p in images]
    return np.stack([np.asarray(image.crop(transform.crop)) for image in resized])


@pytest.mark.parametrize("size", [(900, 1600), (720, 1280), (397, 704), (611, 1013), (1080, 1920)])
def test_images_are_pillows(size):
    transform = ImageTransform.for_test(size, (256, 704))
    images = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
    expected = by_pillow(images, transform).astype(int)
    compiled = ov.Core().compile_model(
        resizing(ImageInput(size), transform, 1), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    difference = np.abs(compiled(images)["images"] - expected)
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999


def test_blue_first_is_turned_round(rig, images):
    transform = ImageTransform.for_test(SIZE, (128, 352))
    images = np.stack(list(images.values()))
    compiled = ov.Core().compile_model(resizing(ImageInput(SIZE, "bgr"), transform, 6), "CPU")
    np.testing.assert_array_equal(compiled(images[..., ::-1].copy())["images"], by_pillow(images, transform))


def rgb_of_nv12(image):
    """BT.601, video range, as its definition has it; a colour serves two by two pixels."""
    height = len(image) * 2 // 3
    luma = 255 / 219 * (image[:height].astype(float) - 16)  # [H, W]
    blue, red = (
        255 / 224 * (np.kron(image[height:, place::2], np.ones((2, 2))).astype(float) - 128) for place in (0, 1)
    )
    green = luma - 1.772 * 0.114 / 0.587 * blue - 1.402 * 0.299 / 0.587 * red
    return np.clip(np.stack([luma + 1.402 * red, green, luma + 1.772 * blue], axis=-1), 0, 255)  # [H, W, 3]


@pytest.mark.parametrize("size", [SIZE, (396, 704)])
def test_nv12_is_converted(size):
    """Noise within video range: what the graph makes of it is what the definition and Pillow make."""
    transform = ImageTransform.for_test(size, (128, 352))
    taken = ImageInput(size, "nv12")
    images = np.random.default_rng(2).integers(16, 236, (2, *taken.shape), dtype=np.uint8)
    model = resizing(taken, transform, 2)
    found = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)["images"]
    rgb = [rgb_of_nv12(image[..., 0]).round().astype(np.uint8) for image in images]
    difference = np.abs(found - by_pillow(rgb, transform).astype(int))
    assert difference.max() <= 2  # one level of the conversion, one of the resize
    assert (difference <= 1).mean() > 0.99


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_the_shipped_graph_stays_exact_whatever_the_network_computes_in(raw, large_rig, large, precision, request):
    if precision == "bf16":
        request.getfixturevalue("bf16")
    report = verify(raw, large, large_rig, precision=precision)
    assert report.resized is not None
    assert report.resized.ok, report.pictures
    assert report.ok, report.first_divergence


def test_a_wrong_resize_is_found_first(raw, large_rig, large, monkeypatch):
    monkeypatch.setattr("occvino.conversion.verify._resized", lambda *_: np.zeros((6, 128, 352, 3), np.uint8))
    assert verify(raw, large, large_rig).first_divergence == "images (IR)"


def test_the_pipeline_takes_raw_images_in_every_form(raw, large_rig, large, tmp_path):
    pipeline = Pipeline(raw, precision="f32")
    labels = pipeline(large, large_rig).labels
    order = large_rig.select(raw.manifest.cameras)
    stacked = np.stack([large[name] for name in order.names])
    assert pipeline.inputs(stacked, order)["frames"] is stacked
    for name, image in large.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    encoded = {name: (tmp_path / f"{name}.png").read_bytes() for name in large}
    for form, rig in ((stacked, order), (tmp_path, large_rig), (encoded, large_rig)):
        np.testing.assert_array_equal(pipeline(form, rig).labels, labels)


def test_other_sizes_go_by_the_host_and_say_so(raw, rig, images, tmp_path):
    plain = convert("occvino-nano", None, tmp_path / "plain", precision="fp16")
    expected = Pipeline(plain, precision="f32")(images, rig).labels
    with pytest.warns(HostResizeWarning, match=r"takes images of 396x704 rgb, .* have 198x352 .*--rig") as told:
        found = Pipeline(raw, precision="f32")(images, rig).labels
    assert told[0].filename == __file__, "the line that called is not named"
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(FrameError, match="verify it with its own"):
        verify(raw, images, rig)


def test_an_array_that_is_not_of_the_rigs_size_is_refused(raw, large_rig, large):
    with pytest.raises(FrameError, match="is 704x200, the rig says 704x396"):
        Pipeline(raw)({**large, "CAM_BACK": np.zeros((200, 704, 3), np.uint8)}, large_rig)


def test_the_manifest_says_what_is_taken_and_the_rules_of_an_npu_pass(raw):
    assert Artifact.open(raw.path).manifest.image_input == ImageInput((396, 704))
    assert json.loads((raw.path / "occvino.json").read_text())["image_input"]["layout"] == "rgb"
    assert check_npu_rules(raw.path / "model.xml").ok


@pytest.mark.parametrize(
    ("size", "layout", "message"),
    [
        ("900", "rgb", "HEIGHTxWIDTH"),
        ("0x9", "rgb", "1 or more"),
        ("9x9", "yuv", "not one of"),
        ("9x8", "nv12", "even"),
    ],
)
def test_what_cannot_be_taken_is_refused(size, layout, message):
    with pytest.raises(OccvinoError, match=message):
        ImageInput.parse(size, layout)
