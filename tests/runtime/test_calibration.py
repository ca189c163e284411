"""What computes with calibration alone, as a model of its own."""

from functools import partial
from unittest.mock import patch

import numpy as np
import openvino as ov
import pytest

from occvino.conversion import convert
from occvino.conversion.bags import cut_bags
from occvino.runtime import Pipeline
from occvino.runtime.calibration import CALIBRATION, cut_calibration
from occvino.runtime.devices import Settings, compile_model
from occvino.runtime.network import Network
from occvino.runtime.npu_parts import FRAME, JOIN, POOL, npu_parts
from occvino.runtime.stages import CUTS, device_of, parts_on
from tests.conversion.test_parts import scene
from tests.converted import converted
from tests.small import known

pytestmark = pytest.mark.slow

IN_COLUMNS = (("4d", "batch"), ("4d", "exact"), ("stereo", "exact"), ("stereo", "fast"))


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """A depth net whose encoder takes image by image, a stream of one, stereo with its grids, windowed attention."""
    folder = tmp_path_factory.mktemp("calibration")
    options = {"precision": "fp32", "cameras": 2, "outputs": ("logits",)}
    small_bags = partial(cut_bags, most=0)
    with known():
        with patch("occvino.conversion.lower.cut_bags", small_bags):
            voxels = convert("small-voxels-stereo", None, folder / "voxels", temporal="exact", device="NPU", **options)
        yield {
            "voxels, a bag a frame": voxels,
            "pano": converted("small-pano", None, folder / "pano", **options),
            "stream": converted("small-4d", None, folder / "stream", temporal="exact", **options),
            "stereo": converted("small-stereo", None, folder / "stereo", temporal="exact", **options),
            "swin": converted("small-swin", None, folder / "swin", temporal="exact", **options),
            **{
                f"{name} in columns, {temporal}": convert(
                    f"small-{name}",
                    None,
                    folder / f"{name}-{temporal}",
                    temporal=temporal,
                    pooling="columns",
                    rig=scene(1)[0][1],
                    **options,
                )
                for name, temporal in IN_COLUMNS
            },
        }


PARTS = {
    "voxels, a bag a frame": {CALIBRATION: 1, "encoder": 2, JOIN: 1, "lift": 4, POOL: 1, "rest": 1},
    "pano": {CALIBRATION: 1, "encoder": 2, "rest": 1},
    "stream": {CALIBRATION: 1, "encoder": 2, JOIN: 1, "lift": 6, "rest": 1},
    "stereo": {CALIBRATION: 1, "encoder": 2, JOIN: 1, "lift": 4, "rest": 1},
    "swin": {CALIBRATION: 1, "encoder": 2, JOIN: 1, "lift": 4, "rest": 1},
    "4d in columns, batch": {CALIBRATION: 1, "encoder": 6, FRAME: 3, "rest": 1},
    "4d in columns, exact": {CALIBRATION: 1, "encoder": 2, JOIN: 1, "lift": 6, FRAME: 3, "rest": 1},
    "stereo in columns, exact": {CALIBRATION: 1, "encoder": 2, JOIN: 1, "lift": 4, FRAME: 2, "rest": 1},
    "stereo in columns, fast": {CALIBRATION: 1, "encoder": 1, JOIN: 1, FRAME: 2, "rest": 1},
}
"""How often a frame of two cameras takes each."""


@pytest.mark.parametrize("name", PARTS)
def test_an_npus_parts_give_the_same_but_for_the_rounding_of_what_is_handed_on(artifacts, name):
    whole, parted = (Pipeline(artifacts[name], precision="fp32") for _ in range(2))
    model = ov.Core().read_model(artifacts[name].path / "model.xml")
    parts = parts_on("NPU", model)
    assert {stage: runs for stage, (_, runs) in npu_parts(model).items()} == PARTS[name]
    compiled = {stage: compile_model(part, "CPU", Settings("fp32")) for stage, part in parts.items()}
    parted._network = Network(model, "NPU", imported=compiled)
    assert [parted.running.stages[stage].requested for stage in parts if device_of(stage, "NPU") == "CPU"] == [
        "CPU" for stage in parts if stage in (CALIBRATION, JOIN)
    ]
    for time, (images, rig) in enumerate(reversed(scene(3))):
        stream = {} if whole.memory is None else {"scene": "", "time": time / 2}
        expected, found = (pipeline(images, rig, **stream).extras["logits"] for pipeline in (whole, parted))
        assert np.abs(found - expected).mean() < 2e-3 * expected.std()


def test_npus_take_what_it_gives_in_half_precision_and_no_cameras(artifacts):
    parts = parts_on("NPU", ov.Core().read_model(artifacts["stereo"].path / "model.xml"))
    assert list(parts) == [CALIBRATION, "encoder", JOIN, "lift", "rest"]
    assert not {"Convolution", "GridSample"} & {op.get_type_name() for op in parts[JOIN].get_ops()}
    assert {value.get_any_name() for value in parts[CALIBRATION].inputs} == {"cameras", "warps"}
    assert all(value.element_type == ov.Type.f16 for value in parts[CALIBRATION].outputs)
    taken = {value.get_any_name() for stage in ("encoder", "lift", "rest") for value in parts[stage].inputs}
    assert not {"cameras", "warps"} & taken
    assert {value.get_any_name() for value in parts[CALIBRATION].outputs} <= taken


def test_a_network_without_cameras_has_no_such_part(nano):
    model = ov.Core().read_model(nano.path / "model.xml")
    assert cut_calibration(model) is None
    assert list(parts_on("NPU", model)) == ["encoder", "rest"]


def test_it_runs_on_the_cpu_beside_any_npu():
    assert device_of(CALIBRATION, "NPU.0") == "CPU"
    assert device_of("encoder", "NPU.0") == "NPU.0"


@pytest.mark.parametrize("name", ["swin", "stereo in columns, exact"])
def test_the_stages_of_a_stream_may_be_given_devices(artifacts, name):
    """As docs/npu.md says to do where an NPU's compiler comes to no end with the encoder."""
    stages = dict.fromkeys(CUTS, "CPU")
    whole, parted = (
        Pipeline(artifacts[name], precision="fp32"),
        Pipeline(artifacts[name], precision="fp32", stages=stages),
    )
    for time, (images, rig) in enumerate(scene(3)):
        expected, found = (pipe(images, rig, scene="", time=time / 2).extras["logits"] for pipe in (whole, parted))
        np.testing.assert_allclose(found, expected, atol=1e-5 * expected.std())
