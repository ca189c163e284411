"""The recorded cases of the official code, and the same on real images through the command line's own path."""

import json

import numpy as np
import pytest
import torch

from occvino.conversion import convert
from occvino.conversion.torch_pipeline import TorchPipeline
from occvino.conversion.verify import verify
from occvino.geometry.rig import Rig
from occvino.networks import build
from occvino.runtime import Pipeline
from tests.golden.recipe import digest, make_weights
from tests.golden.replay import Case, Row, find_cases, replay

MODELS = (
    "flashocc-r50-M0",
    "flashocc-r50-M1",
    "flashocc-r50-4d-stereo",
    "bevdet-occ-r50",
    "pano-r50-depth-tiny",
    "pano-r50-depth-tiny-pano",
    "pano-r50-depth4d-longterm8f",
)
CASES = [case for model in MODELS for case in (f"{model}.A_noise", f"{model}.B_noise")]
BY_HAND = ["flashocc-stbase-4d-stereo.A_noise"]
"""Eighteen images of 512x1408 through Swin-B: too much for CI; see docs/variants.md."""


@pytest.mark.parametrize(
    "name",
    [
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in [*CASES, "flashocc-r50-M0.B_real", "pano-r50-depth4d-pano.B_noise"]
        ),
        *(pytest.param(name, marks=pytest.mark.by_hand) for name in BY_HAND),
    ],
)
def test_case(golden, name):
    rows = replay(Case(golden, name))
    assert len(rows) > 12
    assert not [row for row in rows if not row.ok]


def test_every_case_is_of_a_variant_that_is_built_and_replayed(golden):
    cases = {case.name: case.variant for case in find_cases(golden)}
    assert None not in cases.values()
    assert set(cases) == {*CASES, *BY_HAND, "flashocc-r50-M0.B_real", "pano-r50-depth4d-pano.B_noise"}


def test_every_frame_of_a_real_case_has_the_same_six_images(golden):
    case = Case(golden, "flashocc-r50-M0.B_real")
    one = case.images()
    case.facts.update(n_frames=3, input_shapes=[[1, 18, 3, 256, 704]])
    three = case.images()
    assert three.shape == (18, 3, 256, 704)
    assert all(torch.equal(frame, one) for frame in three.split(6))
    # the official code has them camera after camera, each with all its frames
    official = case.official_images(three)
    assert all(np.array_equal(official[camera * 3 + frame], one[camera]) for camera in range(6) for frame in range(3))
    case.facts.update(input_shapes=[[1, 18, 3, 512, 1408]])
    with pytest.raises(SystemExit, match=r"18 images \[3, 512, 1408\], and the canvas gives 3 frames of 6 images"):
        case.images()


def test_a_tolerance_is_twenty_recorded_floors_or_the_default_or_twenty_measured_ones(golden):
    told, untold = Case(golden, "pano-r50-depth-tiny-pano.A_noise"), Case(golden, "flashocc-r50-M0.B_noise")
    assert told.tolerance("occ_head#0", {}) == pytest.approx(20 * 0.0032486, rel=1e-3)
    assert told.tolerance("occ_head#0", {"occ_head#0": 1.0}) == told.tolerance("occ_head#0", {})
    assert told.tolerance("depth_net.bn#0", {}) == 1e-4
    assert told.tolerance("aux.rot", {}) == 5e-3
    assert told.tolerance("aux.rot", {"aux.rot": 1e-3}) == pytest.approx(2e-2)
    assert untold.tolerance("occ_head#0", {}) == 1e-4
    assert untold.tolerance("occ_head#0", {"occ_head#0": 1e-7}) == 1e-4


def test_a_row_beyond_its_tolerance_is_not_ok():
    assert Row("x", 1.0, 1.0).ok
    assert not Row("x", 1.01, 1.0).ok
    assert not Row("x", float("nan"), 1.0).ok


def test_the_recipe_is_deterministic_and_keyed_by_name():
    shapes = {"a.weight": [4, 3, 3, 3], "b.weight": [4, 3, 3, 3], "bn.running_var": [4], "bn.num_batches_tracked": []}
    weights = make_weights(shapes, "A")
    assert digest(weights) == digest(make_weights(dict(reversed(shapes.items())), "A"))
    assert digest(weights) != digest(make_weights(shapes, "B"))
    assert not np.array_equal(weights["a.weight"], weights["b.weight"])
    with pytest.raises(KeyError, match="the recipe says nothing about"):
        make_weights({"a.strange": [1]}, "A")


@pytest.mark.slow
def test_the_ir_reproduces_the_official_labels_on_the_real_frame(golden, real_frame, tmp_path):
    """Six JPEGs and a calibration file, recipe weights in an mmcv checkpoint, through convert, verify and run."""
    case = Case(golden, "flashocc-r50-M0.B_real")
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in case.weights(build("flashocc-r50-M0")).items()}
    torch.save({"meta": {"epoch": np.float64(24)}, "state_dict": state}, tmp_path / "m0.pth")
    artifact = convert("flashocc-r50-M0", tmp_path / "m0.pth", tmp_path / "m0", precision="fp32")
    rig = Rig.load(real_frame / "calibration.json")
    ambiguous = np.unpackbits(case.arrays["occ_ambiguous_packbits"])[:640000].reshape(200, 200, 16).astype(bool)
    for pipeline in (Pipeline(artifact, precision="f32"), TorchPipeline("flashocc-r50-M0", tmp_path / "m0.pth")):
        labels = pipeline(real_frame, rig).labels
        assert not ((labels != case.arrays["occ_argmax"]) & ~ambiguous).any()
    report = verify(artifact, real_frame, rig)
    assert report.ok, json.dumps(report.to_dict(), indent=1)
    assert report.points_kept == pytest.approx(case.facts["pooling"][0]["kept_points"] / 185_856, abs=1e-4)
