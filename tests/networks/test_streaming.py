"""The streaming forms of temporal networks in PyTorch, against the batch form: frame by frame, with starts and cuts."""

import numpy as np
import pytest
import torch

from occvino.conversion.torch_stream import TorchStream
from occvino.errors import FrameError
from occvino.geometry.inputs import PLAN_INPUTS, Geometry, joint_calibration
from occvino.geometry.lift import PoolingPlan
from occvino.geometry.rig import Rig
from occvino.geometry.temporal import MISSING
from occvino.images.inputs import resized_images
from occvino.networks import build
from occvino.networks.flashocc import tap_names
from occvino.networks.streaming import stream_taps
from occvino.runtime.memory import Memory
from tests.sequences import batch, sequence, tensors
from tests.small import SMALL, known

TEMPORAL = [
    pytest.param(variant.name, marks=pytest.mark.slow if variant.volumetric or variant.swin else ())
    for variant in SMALL
    if variant.frames > 1
]


class Stream(TorchStream):
    """Takes frames as the other forms do, and gives taps as tensors."""

    def __init__(self, model, temporal):
        super().__init__(model, temporal, 2)
        self.variant = model.variant

    def __call__(self, frame):
        found = super().__call__(resized_images([frame], [frame[1]], self.variant), frame[1])
        return {name: torch.from_numpy(array) for name, array in found.items()}


@pytest.fixture(scope="module", params=TEMPORAL)
def model(request):
    with known():
        return build(request.param)


def assert_same(found, expected):
    scale = expected.std()
    assert (found - expected).abs().max() < 1e-4 * scale


def test_the_exact_stream_is_the_batch_form_frame_by_frame(model):
    """Over the start of a scene, its middle, and a cut to another one."""
    stream, frames = Stream(model, "exact"), model.variant.frames
    for scene in ("a", "b"):
        stream.memory.reset()
        seen = sequence(frames + 1, start=1000.0 if scene == "b" else 0.0, seed=ord(scene))
        for index, frame in enumerate(seen):
            past = seen[max(0, index - frames + 1) : index][::-1]
            taps, expected = stream(frame), batch(model, frame, past)
            assert list(taps) == [*tap_names(model.variant, "exact"), "labels"]
            for name in ("depth", "features", "bev", "logits"):
                assert_same(taps[name], expected[name])
    # what was compared depends on the past
    assert (batch(model, frame)["bev"] - expected["bev"]).abs().max() > 0.1 * expected["bev"].std()


def test_the_fast_stream_is_exact_where_all_cameras_fire_at_once(model):
    """Only camera vectors differ between the two, and stereo at the second frame of a scene (see `temporal`)."""
    fast, exact = Stream(model, "fast"), Stream(model, "exact")
    for index, frame in enumerate(sequence(4, apart=0.0)):
        found, expected = fast(frame), exact(frame)
        assert list(found) == [*tap_names(model.variant, "fast"), "labels"]
        if index != 1 or not model.variant.stereo:
            assert_same(found["logits"], expected["logits"])
    frame = sequence(5, apart=0.1)[-1]  # and differs where they begin to fire one after another
    found, expected = fast(frame)["bev"], exact(frame)["bev"]
    assert_same(found[0], expected[0])
    assert (found - expected).abs().max() > 1e-4 * expected.std()


def test_the_fast_stream_pools_again_with_the_new_plan(model):
    """The BEV of a past frame is its own depth and features, pooled where that frame is seen from now."""
    stream, (first, second) = Stream(model, "fast"), sequence(2)
    kept, now = stream(first), stream(second)
    slots = model.variant.lifted_frames
    depth = torch.cat([now["depth"], kept["depth"], *[now["depth"]] * (slots - 2)])
    features = torch.cat([now["features"], kept["features"], *[now["features"]] * (slots - 2)])
    rigs = [second[1], first[1], *[second[1]] * (model.variant.frames - 2)]
    plan = PoolingPlan.from_calibration(joint_calibration(rigs, model.variant), model.variant)
    expected = model.img_view_transformer.splat(depth, features, *tensors(plan.inputs()))
    assert_same(now["bev"], expected)
    still = PoolingPlan.from_calibration(joint_calibration([second[1]] * len(rigs), model.variant), model.variant)
    unmoved = model.img_view_transformer.splat(depth, features, *tensors(still.inputs()))
    assert (unmoved[1] - expected[1]).abs().max() > 0.1 * expected[1].std()


def test_what_is_said_to_be_missing_counts_for_nothing(model):
    for temporal in ("exact", "fast"):
        (frame,), stream = sequence(1), Stream(model, temporal)
        expected = stream(frame)["logits"]
        stream.memory.reset()
        for blank in stream.memory._blank.values():
            blank.fill(np.nan)
        assert torch.equal(stream(frame)["logits"], expected)


def test_images_and_calibration_of_different_counts_are_refused(model):
    """The official code reshapes them, and gives a plausible wrong answer."""
    variant, (frame, *_) = model.variant, sequence(1)
    rigs = [frame[1]] * variant.frames
    geometry = Geometry.of_rigs(rigs, variant).inputs
    images = torch.zeros(2 * variant.frames, 3, *variant.input_size)
    with pytest.raises(FrameError, match=f"{2 * variant.frames - 1} images for {variant.name}, which takes"):
        model.taps(images[:-1], *tensors(geometry))
    with pytest.raises(FrameError, match=r"ranks_depth has \d+ rows, expected \d+ for 1 cameras"):
        model.taps(images[: variant.frames], *tensors(geometry))
    one = Geometry.of_rigs([Rig(rig.cameras[:1]) for rig in rigs], variant).inputs
    mixed = {**geometry, "cameras": one["cameras"]}
    with pytest.raises(FrameError, match=r"cameras has \d+ rows, expected \d+ for 2 cameras"):
        model.taps(images, *tensors(mixed))
    memory = Memory(variant, "exact", 2)
    inputs = {name: geometry[name] for name in PLAN_INPUTS} | {name: geometry[name] for name in list(geometry)[3:]}
    inputs |= memory.recall(frame[1]).inputs
    with pytest.raises(FrameError, match=r"expected \[\d+\] for \d+ cameras in one frame"):
        stream_taps(model, "exact", images, *tensors(inputs))
    with pytest.raises(FrameError, match=f"{MISSING} has shape"):
        stream_taps(model, "exact", images[:2], *tensors({**inputs, MISSING: np.ones(9, bool)}))
