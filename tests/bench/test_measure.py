"""What `occvino bench` measures, in this process and in others, and how it is told and drawn."""

import io
import json
import shutil
import subprocess
import time
from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from occvino.artifact import MANIFEST
from occvino.bench import Request, Times, measure
from occvino.bench.calls import WARM_UP, Budget, time_calls, time_plans
from occvino.bench.figure import BLUE, ORANGE, Bar, _bars, _ticks, draw
from occvino.bench.fresh import Start, Starts, start, time_starts
from occvino.bench.streams import compare
from occvino.bench.table import print_benchmark
from occvino.cli.app import app
from occvino.errors import ArtifactError, DeviceError, FrameError, OccvinoError
from occvino.geometry.calibration import Calibration
from occvino.geometry.inputs import joint_calibration
from occvino.geometry.lift import PoolingPlan
from occvino.images.inputs import raw_images
from occvino.images.layout import ImageInput
from occvino.runtime import Pipeline
from occvino.runtime.stages import CUTS
from tests.cli.command import occvino
from tests.converted import converted
from tests.sequences import make_frame
from tests.small import known

pytestmark = pytest.mark.slow

FEW = Budget(4, 60.0)
STARTS = Starts({"without_cache": Start(100.0, 150.0, 50.0, 200.0, None)}, "CPU kept no compiled model")


@pytest.fixture(autouse=True)
def _known():
    with known():
        yield


@pytest.fixture
def here(monkeypatch):
    """No other processes: they do not know the small variants."""
    monkeypatch.setattr("occvino.bench.benchmark.time_starts", lambda request: STARTS)


def folder(path, frames, rig):
    """Images and rig as a deployer has them; gives the options that name them."""
    for name, array in frames.items():
        Image.fromarray(array).save(path / f"{name}.png")
    rig.save(path / "rig.json")
    return {"images": str(path), "rig": str(path / "rig.json")}


def small(name, out, **options):
    """A small variant, and images of two cameras of its size."""
    artifact = converted(name, None, out / name, precision="fp32", cameras=2, **options)
    return Request(str(artifact.path), **folder(out, *make_frame(0)))


@pytest.fixture(scope="module")
def pillars(tmp_path_factory):
    with known():
        return small("small-pillars", tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    with known():
        return small("small-4d", tmp_path_factory.mktemp("artifacts"), temporal="exact")


def printed(found):
    console = Console(file=io.StringIO(), width=100)
    print_benchmark(console, found)
    return console.file.getvalue()


class Toy:
    """Steps of known length."""

    def __init__(self):
        self.calls = []

    def reset(self):
        self.calls.append("reset")

    def prepare(self, frame, pool=None):
        self.calls.append(frame)
        time.sleep(0.03 if frame >= WARM_UP else 0.2)

    def infer(self, prepared):
        time.sleep(0.05)
        return SimpleNamespace(seconds={"encoder": 0.02, "trunk": 0.03})

    def finish(self, prepared, inferred):
        time.sleep(0.01)


def test_steps_are_timed_apart_and_add_up_and_the_first_calls_do_not_count():
    toy = Toy()
    found = time_calls(toy, iter(range(100)), FEW)
    assert toy.calls == ["reset", *range(WARM_UP + FEW.calls)]
    least = {"prepare": 30, "infer": 50, "finish": 10}
    assert {step: times.best >= least[step] for step, times in found.steps.items()} == dict.fromkeys(least, True)
    assert found.steps["prepare"].best < 200
    sums = np.sum([times.each_ms for times in found.steps.values()], axis=0)
    np.testing.assert_allclose(found.whole.each_ms, sums)
    assert found.stages == {"encoder": Times((20.0,) * 4), "trunk": Times((30.0,) * 4)}


def test_a_rig_that_stands_has_one_plan_and_one_that_moves_has_one_a_call(pillars, monkeypatch):
    made = []
    build = PoolingPlan.from_calibration
    monkeypatch.setattr(PoolingPlan, "from_calibration", lambda *given: made.append(given) or build(*given))
    pipeline, workload = pillars.open(), pillars.workload()
    time_calls(pipeline, workload.still(), FEW)
    assert len(made) == 1
    time_calls(pipeline, workload.moving(), FEW)
    assert len(made) == 1 + WARM_UP + FEW.calls
    time_plans(pipeline, workload.moving(), FEW)
    assert len(made) == 1 + WARM_UP + FEW.calls + 1 + FEW.calls
    fingerprints = {calibration.fingerprint() for calibration, _ in made}
    assert len(fingerprints) == 1 + WARM_UP + FEW.calls  # plans alone are of the same rigs as the calls


def test_all_of_it_is_plain_values_told_and_drawn(pillars, here):
    seen = []
    found = measure(pillars, frames=4, seconds=5, opened=lambda pipeline: seen.append(str(pipeline.running)))
    told = json.loads(json.dumps(found.to_dict()))
    assert seen == [str(found.running)]
    assert [told["latency"][kind]["count"] for kind in ("rig_as_before", "rig_moved")] == [4, 4]
    assert told["throughput"]["turns"] == 3
    assert told["peak_memory_mib"] == 200.0
    assert told["first_frame"]["without_cache"]["first_frame_ms"] == 150.0
    assert set(told["versions"]) == {"occvino", "openvino", "numpy", "pillow", "python"}
    words = " ".join(printed(found).split())
    for expected in (
        "call, rig as before",
        "new plan alone",
        "4 calls were made; p90 takes 10, p99 takes 100",
        "With a cache: CPU kept no compiled model",
        "in 3 turns of 4 frames each",
        "200 MiB",
    ):
        assert expected in words
    assert "baked in" not in words
    pixels = np.asarray(draw(found)).reshape(-1, 3)
    assert all((pixels == colour).all(1).sum() > 100 for colour in (BLUE, ORANGE))


def test_stages_of_a_split_network_are_told_apart(pillars, here):
    split = replace(pillars, options={"stages": dict.fromkeys(CUTS, "CPU")})
    found = measure(split, frames=3, seconds=5)
    assert list(found.still.stages) == list(CUTS)
    for whole, *parts in zip(
        found.still.steps["infer"].each_ms, *(times.each_ms for times in found.still.stages.values()), strict=True
    ):
        assert 0 < sum(parts) <= whole
    assert all(stage in printed(found) for stage in CUTS)
    draw(found)


def test_a_stream_is_reset_before_each_run_and_never_cut(stream, here, recwarn):
    events = []
    finish = Pipeline.finish
    Pipeline.finish = lambda self, prepared, inferred: (
        events.append((inferred.history.event, inferred.history.frames)) or finish(self, prepared, inferred)
    )
    try:
        found = measure(stream, frames=4, seconds=5)
    finally:
        Pipeline.finish = finish
    assert not recwarn.list
    assert found.remembers
    first = [index for index, (event, _) in enumerate(events) if event == "start"]
    assert len(first) == 2 + 1 + 2 * found.to_dict()["throughput"]["turns"]  # two kinds, a warm-up, and each turn
    assert {event for event, _ in events} == {"start", None}
    assert all(
        frames == min(index - max(i for i in first if i <= index), 2) for index, (_, frames) in enumerate(events)
    )
    assert "its plans depend on past frames, and are made in infer" in printed(found)
    assert "infer with new plan" in printed(found)


def test_all_frames_at_once_move_together_and_one_image_for_all_is_told(tmp_path, here):
    request = small("small-4d", tmp_path, temporal="batch")
    with pytest.warns(UserWarning, match="takes 3 frames a call and 1 are at hand"):
        found = measure(request, frames=1, seconds=1)
    assert found.images == str(tmp_path)
    before = (make_frame(1), make_frame(2))
    with pytest.warns(UserWarning, match="at hand"):
        workload = replace(request.workload(), past=before)
    pipeline = request.open()
    variant, still = pipeline.artifact.variant, [rig for _, rig in (make_frame(0), *before)]
    given = [still, *([frame.rig, *(rig for _, rig in frame.past)] for frame in islice(workload.moving(), 2))]
    assert len({joint_calibration(rigs, variant).fingerprint() for rigs in given}) == 3
    past = {Calibration.join([rig.calibration(variant) for rig in rigs[1:]]).fingerprint() for rigs in given}
    assert len(past) == 3
    assert len(time_calls(pipeline, workload.moving(), FEW).whole) == FEW.calls


@pytest.mark.parametrize("layout", ["rgb", "nv12"])
def test_the_scene_is_made_the_size_that_the_ir_resizes_itself(nano, tmp_path, recwarn, layout):
    """The manifest alone says so here: converting takes longer than a quick test may."""
    takes = ImageInput((900, 1600), layout)
    manifest = replace(nano.manifest, image_input=takes)
    shutil.copytree(nano.path, tmp_path / "whole")
    (tmp_path / "whole" / MANIFEST).write_text(manifest.to_json())
    workload = Request(str(tmp_path / "whole")).workload()
    assert workload.name == f"the scene that ships inside, made 900x1600 {layout}"
    assert {(camera.height, camera.width) for camera in workload.rig.cameras} == {takes.size}
    whole = raw_images([(workload.images, workload.rig)], [workload.rig], takes)
    assert whole.shape == (6, *takes.shape)
    assert (whole[0] != whole[1]).any() == (layout == "rgb")
    (tmp_path / "whole" / MANIFEST).write_text(replace(manifest, image_input=ImageInput((960, 1280))).to_json())
    with pytest.raises(OccvinoError, match="takes images of 960x1280 rgb, and those of .* would be 720x1280: give"):
        Request(str(tmp_path / "whole")).workload()


def test_a_baked_rig_cannot_move(baked, rig, images, tmp_path, here):
    images = folder(tmp_path, images, rig)["images"]
    found = measure(Request(str(baked.path), images=images), frames=2, seconds=1)
    assert found.moving is None
    assert found.to_dict()["new_plan"] is None
    assert "baked in, so that the rig cannot move" in printed(found)
    draw(found)
    with pytest.raises(OccvinoError, match="has a baked calibration"):
        measure(Request(str(baked.path)))


def test_a_frame_that_fails_ends_it(pillars):
    pipeline, workload = pillars.open(), pillars.workload()
    broken = replace(workload, images="no/such/folder")
    with pytest.raises(FrameError, match="image folder not found: no/such/folder"):
        compare(pipeline, broken, 10.0, FEW)


def test_a_start_is_a_process_of_its_own_and_a_cache_is_filled_then_read(nano):
    found = time_starts(Request(str(nano.path), {"precision": "f32"}))
    assert {name: each.from_cache for name, each in found.starts.items()} == {
        "without_cache": None,
        "filling_cache": False,
        "warm_cache": True,
    }
    assert found.error is None
    for each in found.starts.values():
        assert 0 < each.open_ms < each.first_frame_ms
        assert each.peak_memory_mib is None or 50 < each.peak_memory_mib < 2000


def test_what_goes_wrong_in_another_process_is_told_here(fresh, monkeypatch, tmp_path):
    with pytest.raises(OccvinoError, match="there is no device TPU"):
        start(Request(str(fresh.path), {"device": "TPU"}), None)
    (tmp_path / "file").touch()
    found = time_starts(Request(str(fresh.path), {"cache": str(tmp_path / "file")}))
    assert list(found.starts) == ["without_cache"]
    assert "cannot be a folder of compiled models" in found.error
    (fresh.path / "model.bin").write_bytes(b"")
    with pytest.raises(OccvinoError, match=r"model\.bin is not the file that was converted"):
        start(Request(str(fresh.path)), None)
    ended = subprocess.CompletedProcess((), -9, stdout="", stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(OccvinoError, match="ended with code -9: it said nothing"):
        start(Request(str(fresh.path)), None)
    ended = subprocess.CompletedProcess((), -11, stdout='{"open_ms": 1.0}\n', stderr="Fatal Python error: Segmentation")
    with pytest.raises(OccvinoError, match="ended with code -11: Fatal Python error"):
        start(Request(str(fresh.path)), None)


def test_wrong_use_is_refused_before_anything_is_measured(pillars, tmp_path):
    with pytest.raises(OccvinoError, match="--frames 0: expected 1 or more"):
        measure(pillars, frames=0)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OccvinoError, match="--seconds .*: expected more than 0"):
            measure(pillars, seconds=seconds)
    with pytest.raises(OccvinoError, match="--rig goes with --images"):
        Request(pillars.artifact, rig="rig.json")
    with pytest.raises(OccvinoError, match="needs --rig: the calibration is an input"):
        measure(Request(pillars.artifact, images=str(tmp_path)))
    with pytest.raises(DeviceError, match="threads=0"):
        measure(replace(pillars, options={"threads": 0}))
    with pytest.raises(ArtifactError, match="nowhere is not an artifact"):
        measure(Request("nowhere"))


@given(st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=5))
def test_parts_of_a_bar_that_are_less_than_a_pixel_can_be_drawn(values):
    page = Image.new("RGB", (1240, 100))
    _bars(page, (600, 10), "", [Bar("", [(BLUE, value) for value in values], "")])
    painted = (np.asarray(page)[50] == BLUE).all(1)
    assert painted.sum() == 1240 - 36 - 600 - 190  # as long as the room, without a gap


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.3), (9.5, 31.0), (190.0, 2400.0), (5e3, 5.1e3)])
def test_ticks_are_a_few_round_values_inside(low, high):
    found = _ticks(low, high)
    assert 2 <= len(found) <= 8
    assert all(low < tick <= high for tick in found)
    np.testing.assert_allclose(np.diff(found), found[1] - found[0])
    assert float(f"{found[1] - found[0]:.0e}") == pytest.approx(found[1] - found[0])


def test_the_command_prints_json_alone_and_draws(nano, tmp_path):
    copied = shutil.copytree(nano.path, tmp_path / "a[b] c")
    done = occvino(
        *("bench", copied, "--frames", 1, "--seconds", 1, "--threads", 1, "--precision", "f32"),
        *("--cache", tmp_path / "cache", "--plot", tmp_path / "p.png", "--json"),
        check=0,
    )
    told = json.loads(done.stdout)
    assert done.stderr == ""
    assert (told["running"]["threads"], told["running"]["precision"]) == (1, "fp32")
    assert list(told["first_frame"]) == ["without_cache", "warm_cache", "cache_error"]
    assert told["first_frame"]["warm_cache"]["from_cache"] is True
    with Image.open(tmp_path / "p.png") as image:
        assert image.width > 1000


def test_the_command_shows_what_runs_first_and_then_the_table(pillars, here):
    given = ["--images", pillars.images, "--rig", pillars.rig, "--frames", "1", "--seconds", "1"]
    done = CliRunner().invoke(app, ["bench", pillars.artifact, *given])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("CPU -> CPU")
    assert done.stdout.index("CPU -> CPU") < done.stdout.index("call, rig as before") < done.stdout.index("stream")
    assert "... calls, another rig each" in done.stderr
