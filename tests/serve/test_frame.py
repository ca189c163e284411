"""Requests without a server: what they are made of is a dataclass here, with kserve's names."""

import io
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occvino.errors import FrameError, RigError
from occvino.serve.frame import Contract
from occvino.serve.tensors import array_of, tensors_of
from tests.serve.conftest import matrices

KINDS = {np.dtype(np.uint8): "UINT8", np.dtype(np.float32): "FP32", np.dtype(np.float64): "FP64"}


@dataclass(frozen=True)
class Given:
    """An input whose values are an array, or a list as JSON brings it."""

    name: str
    datatype: str
    shape: list[Any]
    values: Any
    data: Any = None

    def as_numpy(self):
        return np.asarray(self.values).reshape(self.shape)


def tensor(name, values):
    values = np.asarray(values)
    return Given(name, KINDS.get(values.dtype, "BYTES"), list(values.shape), values)


def listed(name, datatype, shape, data):
    return Given(name, datatype, shape, None, data)


def jpeg(height=198, width=352, value=90):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (value, value, value)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def contract(rig):
    return Contract(rig.names, (-1, -1, 3), calibrated=False, most_bytes=64 << 20)


@pytest.fixture
def request_(rig):
    intrinsics, camera2ego = matrices(rig)
    images = np.zeros((6, 198, 352, 3), np.uint8)
    made = tensor("images", images), tensor("intrinsics", intrinsics), tensor("camera2ego", camera2ego)
    return {each.name: each for each in made}


def test_pixels_and_matrices_are_a_frame(contract, request_, rig):
    images = np.random.default_rng(0).integers(0, 256, (6, 198, 352, 3), np.uint8)
    frame = contract.frame([*{**request_, "images": tensor("images", images)}.values()], {})
    assert frame.rig.names == rig.names
    for name, image in zip(rig.names, images, strict=True):
        np.testing.assert_array_equal(frame.images[name], image)


def test_files_have_the_sizes_that_they_say(contract, request_):
    files = np.array([jpeg(), jpeg(100, 300), *[jpeg()] * 4], object)
    frame = contract.frame([*{**request_, "images": tensor("images", files)}.values()], {})
    assert [(camera.width, camera.height) for camera in frame.rig.cameras][:2] == [(352, 198), (300, 100)]
    assert frame.images[contract.cameras[1]] == files[1]


def test_another_order_of_cameras_is_told_by_a_parameter(contract, request_, rig):
    images = np.arange(6, dtype=np.uint8).repeat(198 * 352 * 3).reshape(6, 198, 352, 3)
    turned = list(reversed(rig.names))
    given_ = {**request_, "images": tensor("images", images)}
    frame = contract.frame([*given_.values()], {"cameras": json.dumps(turned)})
    assert frame.rig.names == tuple(turned)
    assert [int(frame.images[name][0, 0, 0]) for name in turned] == list(range(6))


@pytest.mark.parametrize("told", ["CAM_FRONT", "[", '["CAM_FRONT"]', "7", "[[]]", '{"a": 1}', 3, "[" * 100000])
def test_an_order_that_is_none_is_refused(contract, request_, told):
    with pytest.raises(FrameError, match=r"parameter cameras is .*expected a JSON list of these names"):
        contract.frame([*request_.values()], {"cameras": told})


def without(name):
    return lambda inputs: {key: value for key, value in inputs.items() if key != name}


def with_(name, **changes):
    return lambda inputs: {**inputs, name: replace(inputs[name], **changes)}


def with_value(name, index, value):
    def change(inputs):
        values = inputs[name].values.copy()
        values[index] = value
        return {**inputs, name: replace(inputs[name], values=values)}

    return change


def with_images(make):
    return lambda inputs: {**inputs, "images": tensor("images", np.array([make() for _ in range(6)], object))}


BAD = {
    "no images": (without("images"), FrameError, r"no input images: expected UINT8 \[6, -1, -1, 3\] or BYTES \[6\]"),
    "no matrices": (without("camera2ego"), FrameError, r"no input camera2ego: expected FP32 \[6, 4, 4\]"),
    "type": (with_("images", datatype="INT8"), FrameError, r"images is INT8 .*expected UINT8"),
    "shape": (with_("images", shape=[6, 3, 198, 352]), FrameError, r"images is UINT8 \[6, 3, 198, 352\], expected"),
    "empty": (with_("images", shape=[6, 0, 352, 3]), FrameError, r"\[6, 0, 352, 3\], expected"),
    "words": (with_("images", shape=["6", 198, 352, 3]), FrameError, "expected"),
    "too few": (with_("intrinsics", shape=[5, 3, 3]), FrameError, r"intrinsics is FP32 \[5, 3, 3\], expected"),
    "size": (with_("intrinsics", shape=[6, 3, 3], values=np.zeros(9, np.float32)), FrameError, "its data are not"),
    "NaN": (
        with_value("intrinsics", (2, 0, 0), np.nan),
        RigError,
        "CAM_FRONT_RIGHT: intrinsics hold a value that is not",
    ),
    "infinite": (with_value("camera2ego", (0, 0, 3), np.inf), RigError, "CAM_FRONT_LEFT: sensor2ego holds a value"),
    "mirrored": (with_value("camera2ego", (0, slice(0, 3), 0), 0.0), RigError, "CAM_FRONT_LEFT.*not a rotation"),
    "unknown": (
        lambda it: {**it, "x": tensor("rig", np.zeros(1, np.float32))},
        FrameError,
        "an input 'rig'; this model",
    ),
    "twice": (lambda it: {**it, "x": it["images"]}, FrameError, "has the input images twice"),
    "no image": (with_images(lambda: b"x" * 100), FrameError, "100 bytes, cannot be read as an image of JPEG, PNG"),
    "text": (with_images(lambda: "abc"), FrameError, "is text: the bytes of an image file do not go into JSON"),
    "bomb": (with_images(lambda: jpeg(3000, 3000)), FrameError, "have 154 MiB when decoded, at most 64"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_request_is_told_what_is_wrong(contract, request_, what):
    change, error, message = BAD[what]
    with pytest.raises(error, match=message):
        contract.frame([*change(request_).values()], {})


def test_no_message_names_an_address(contract, request_):
    with pytest.raises(FrameError) as failed:
        contract.frame([*with_images(lambda: b"x")(request_).values()], {})
    assert "0x" not in str(failed.value)


def test_a_baked_calibration_needs_no_matrices(contract, request_):
    baked = replace(contract, calibrated=True)
    assert baked.frame([request_["images"]], {}).rig is None
    with pytest.raises(FrameError, match="no input intrinsics"):
        baked.frame([request_["images"], request_["camera2ego"]], {})


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6))
def test_whole_numbers_of_json_stay_what_they_are(values):
    found = array_of(tensors_of([listed("x", "UINT8", [2, 3], values)], ["x"]), "x", {"UINT8": [2, -1]})
    assert found.dtype == np.uint8
    assert found.reshape(-1).tolist() == values


@given(
    st.one_of(
        st.floats().filter(lambda value: value not in range(256)),
        st.integers(256),
        st.integers(max_value=-1),
        st.text(),
        st.booleans(),
        st.none(),
        st.lists(st.integers(), min_size=2, max_size=2),
    )
)
def test_what_is_no_byte_is_refused_and_not_bent_into_one(value):
    # among numbers NumPy takes False for 0
    for data in ([value, value], [2 if value is True or value is False else value, 1.5]):
        with pytest.raises(FrameError, match="x is UINT8"):
            array_of({"x": listed("x", "UINT8", [2], data)}, "x", {"UINT8": [2]})
