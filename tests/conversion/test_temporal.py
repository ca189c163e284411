"""Temporal artifacts through convert, verify and run, as streams, in small variants."""

import json
import time
import warnings
from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from PIL import Image
from typer.testing import CliRunner

from occvino.artifact import MANIFEST, Artifact
from occvino.cli.app import app
from occvino.conversion import convert
from occvino.conversion.onnx_pipeline import OnnxPipeline
from occvino.conversion.tolerances import TOLERANCES, Error
from occvino.conversion.verify import verify
from occvino.errors import ArtifactError, FrameError, OccvinoError
from occvino.geometry.inputs import input_names
from occvino.geometry.rig import Rig
from occvino.geometry.temporal import state_slots
from occvino.networks import build
from occvino.networks.flashocc import tap_names
from occvino.runtime import Occupancy, Pipeline, SceneCutWarning
from occvino.variants import get_variant
from tests.converted import converted
from tests.sequences import batch, make_frame, sequence
from tests.small import known

pytestmark = pytest.mark.slow

STREAMS = [
    pytest.param((name, temporal), id=f"{name}-{temporal}", marks=() if name == "small-4d" else pytest.mark.slow)
    for name in ("small-4d", "small-stereo")
    for temporal in ("exact", "fast")
]


@pytest.fixture(autouse=True)
def _known():
    with known():
        yield


@pytest.fixture(scope="module", params=STREAMS)
def artifact(request, tmp_path_factory):
    name, temporal = request.param
    out = tmp_path_factory.mktemp("artifacts") / f"{name}-{temporal}"
    with known():
        return converted(name, None, out, precision="fp32", cameras=2, temporal=temporal, outputs=("logits", "depth"))


@pytest.fixture
def pipeline(artifact):
    return Pipeline(artifact, precision="f32")


def allowed(reference, frame, past):
    """As `verify` has it: a stereo network may be off by a few times what one last place of its warps does to it."""
    if not reference.variant.stereo:
        return TOLERANCES["fp32"]
    logits, moved = (batch(reference, frame, past, rounded=rounded)["logits"].numpy() for rounded in (False, True))
    return TOLERANCES["fp32"].over(Error.between(moved, logits))


def both(tolerance):
    """For two forms that may each be off by as much."""
    return replace(tolerance, mean=2 * tolerance.mean, p999=2 * tolerance.p999, maximum=2 * tolerance.maximum)


def assert_same(found, expected, tolerance):
    error = Error.between(found, expected)
    assert error.within(tolerance), error


def test_looking_at_inputs_with_a_past_leaves_what_is_remembered(pipeline, artifact):
    frames = sequence(4)
    other = Pipeline(artifact, precision="f32")
    for each in frames[:3]:
        pipeline(*each)
        other(*each)
    pipeline.inputs(*frames[1], past=[frames[0]])
    np.testing.assert_array_equal(pipeline(*frames[3]).labels, other(*frames[3]).labels)


def test_leaving_a_stream_that_is_ahead_forgets(pipeline, artifact):
    frames = sequence(7)
    results = pipeline.stream(frames, window=5)
    for _ in range(2):
        assert next(results)
    time.sleep(1)  # for later frames to be inferred
    results.close()
    found = pipeline(*frames[2])
    assert found.history.event == "start"
    np.testing.assert_array_equal(found.labels, Pipeline(artifact, precision="f32")(*frames[2]).labels)


def test_the_graph_is_static_stock_and_takes_its_own_state_back(artifact):
    model = ov.Core().read_model(artifact.path / "model.xml")
    temporal, variant = artifact.manifest.temporal, artifact.variant
    assert [value.get_any_name() for value in model.inputs] == list(input_names(variant, temporal))
    assert not model.is_dynamic()
    outputs = {value.get_any_name(): value.shape for value in model.outputs}
    for name in state_slots(variant, temporal):
        assert outputs[name] == model.input(f"{name}_1").shape
    assert model.input("images").shape[0] == 2
    assert Artifact.open(artifact.path).manifest.temporal == temporal


def test_the_stream_gives_what_pytorch_gives_of_all_frames_at_once(artifact, pipeline):
    """The fast one as far as it can: at once fired cameras, and no second frame of a scene with stereo."""
    variant, exact = artifact.variant, artifact.manifest.temporal == "exact"
    reference, frames = build(variant.name), variant.frames
    for scene in ("a", "b"):
        seen = sequence(frames + 1, apart=0.1 if exact else 0.0, start=500.0 if scene == "b" else 0.0, seed=ord(scene))
        for index, (images, rig) in enumerate(seen):
            past = seen[max(0, index - frames + 1) : index][::-1]
            found = pipeline(images, rig, scene=scene, time=100 + index / 2)
            if exact or index != 1 or not variant.stereo:
                expected = batch(reference, (images, rig), past)["logits"].numpy()
                assert_same(found.extras["logits"], expected, allowed(reference, (images, rig), past))
            assert found.history is not None
            assert found.history.frames == min(index, found.history.wanted)
            assert found.history.event == (None if index else "start" if scene == "a" else "scene")
            assert set(found.extras) == {"logits", "depth"}


def test_past_frames_that_are_given_are_run_first_and_nothing_else_is_remembered(artifact, pipeline):
    seen = sequence(artifact.variant.frames)
    expected = [pipeline(*each) for each in seen][-1]
    for each in sequence(3, seed=5):
        pipeline(*each)
    found = pipeline(*seen[-1], past=seen[-2::-1])
    np.testing.assert_array_equal(found.extras["logits"], expected.extras["logits"])
    following = make_frame(len(seen))
    after = pipeline(*following)
    assert after.history == expected.history
    with pytest.raises(FrameError, match="past frames for a network that takes"):
        pipeline(*following, past=[*seen, following])
    assert pipeline.memory is not None
    inputs = pipeline.inputs(*seen[-1], past=seen[-2::-1])
    assert list(inputs) == list(input_names(artifact.variant, artifact.manifest.temporal))
    assert not inputs["missing"].any()


def test_after_a_reset_or_a_cut_it_is_as_if_nothing_had_been(artifact, pipeline):
    first, far = make_frame(0), make_frame(0, start=900.0, seed=1)
    alone = {name: Pipeline(artifact, precision="f32")(*each) for name, each in {"first": first, "far": far}.items()}
    for each in sequence(3, seed=9):
        pipeline(*each)
    pipeline.reset()
    np.testing.assert_array_equal(pipeline(*first).extras["logits"], alone["first"].extras["logits"])
    with pytest.warns(SceneCutWarning, match="the vehicle moved by 900 m") as caught:
        cut = pipeline(*far)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(cut.extras["logits"], alone["far"].extras["logits"])
    assert (cut.history.event, cut.history.frames) == ("cut", 0)


def test_a_call_that_fails_leaves_the_memory_as_it_was(artifact, pipeline):
    first, second = sequence(2)
    pipeline(*first)
    expected = pipeline(*second)
    pipeline.reset()
    pipeline(*first)
    with pytest.raises(FrameError, match="image not found: CAM_1"):
        pipeline({"CAM_0": second[0]["CAM_0"]}, second[1])
    np.testing.assert_array_equal(pipeline(*second).extras["logits"], expected.extras["logits"])


def test_results_are_not_overwritten_by_later_calls(pipeline):
    seen = sequence(5)
    results = [pipeline(*each) for each in seen]
    kept = [{name: array.copy() for name, array in result.extras.items()} for result in results]
    for each in sequence(4, seed=3, start=2.0):
        pipeline(*each)
    for result, copies in zip(results, kept, strict=True):
        for name, array in copies.items():
            np.testing.assert_array_equal(result.extras[name], array)


def test_a_form_that_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(OccvinoError, match="temporal form 'slow' is not one of batch, exact, fast"):
        convert("small-4d", None, tmp_path / "out", temporal="slow")  # type: ignore[arg-type]
    with pytest.raises(OccvinoError, match="small-pillars takes one frame and has no past to keep"):
        convert("small-pillars", None, tmp_path / "out", temporal="fast")
    with pytest.raises(OccvinoError, match=r"no output stride4.*reduced"):
        convert("small-4d", None, tmp_path / "out", temporal="exact", outputs=("stride4",))


def test_an_artifact_of_an_older_format_says_so(fresh):
    path = fresh.path / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(ArtifactError, match="has format 1, of an older occvino: convert again"):
        Artifact.open(fresh.path)


def test_a_model_without_a_past_takes_scene_and_time_and_has_no_history(nano, rig, images):
    pipeline = Pipeline(nano)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = pipeline(images, rig, scene="a", time=1.0)
        pipeline.reset()
        pipeline(images, rig, scene="b", time=0.0)
    assert result.history is None
    assert get_variant("occvino-nano").frames == 1


def test_verify_follows_a_stream_and_holds_it_against_all_frames_at_once(artifact):
    (frames, rig), *past = sequence(artifact.variant.frames)[::-1]
    report = verify(artifact, frames, rig, past=past)
    assert report.ok, report.first_divergence
    assert [tap.name for tap in report.taps] == list(tap_names(artifact.variant, artifact.manifest.temporal))
    assert report.batch_labels is not None
    assert report.batch_labels > 0.99
    wrong = replace(report, batch_labels=0.5)
    exact = artifact.manifest.temporal == "exact"
    assert wrong.first_divergence == ("labels (IR, against all frames at once)" if exact else None)


def test_onnx_runtime_streams_as_openvino_does(artifact, pipeline):
    onnx, reference = OnnxPipeline(artifact), build(artifact.variant.name)
    seen = sequence(3)
    for index, (images, rig) in enumerate(seen):
        found, expected = (form(images, rig, scene="a", time=index / 2) for form in (onnx, pipeline))
        past = seen[max(0, index - reference.variant.frames + 1) : index][::-1]
        tolerance = both(allowed(reference, (images, rig), past))
        assert_same(found.extras["logits"], expected.extras["logits"], tolerance)
        assert found.history == expected.history
    now, past = make_frame(2, seed=7), sequence(2, seed=7)[::-1]
    found, expected = (form(*now, past=past) for form in (onnx, pipeline))
    assert_same(found.extras["logits"], expected.extras["logits"], both(allowed(reference, now, past)))


def test_the_command_takes_past_frames(artifact, tmp_path):
    folders = []
    for index, (images, rig) in enumerate(sequence(artifact.variant.frames)):
        folders.append(tmp_path / str(index))
        folders[-1].mkdir()
        for name, array in images.items():
            Image.fromarray(array).save(folders[-1] / f"{name}.png")
        rig.save(folders[-1] / "rig.json")
    *past, now = folders
    run = ["run", artifact.path, "--images", now, "--rig", now / "rig.json", "--precision", "f32", "--out"]
    before = [part for folder in past[::-1] for part in ("--past", folder)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = CliRunner().invoke(app, list(map(str, [*run, tmp_path / "all", *before])))
    assert done.exit_code == 0, done.output
    with pytest.warns(UserWarning, match=r"was given 0: the current frame stands in"):
        CliRunner().invoke(app, list(map(str, [*run, tmp_path / "one"])))
    labels = {out: Occupancy.load(tmp_path / out / "labels.npz").extras["logits"] for out in ("all", "one")}
    expected = Pipeline(artifact, precision="f32")
    for folder in folders:
        found = expected(folder, Rig.load(folder / "rig.json"))
    np.testing.assert_array_equal(labels["all"], found.extras["logits"])
    assert np.abs(labels["one"] - labels["all"]).max() > 0.01 * labels["all"].std()
    described = CliRunner().invoke(app, ["info", str(artifact.path)]).output
    assert "one frame at a time; remembers" in " ".join(described.replace("│", " ").split())
