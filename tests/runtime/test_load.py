"""Under load: threads, long streams with faults, temporal streams with cuts and gaps. Each frame has its own result."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occvino.conversion import convert
from occvino.geometry.rig import Rig, turned
from occvino.runtime import Failure, Frame, Limits, Pipeline
from tests.sequences import make_frame
from tests.small import known

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    with known():
        folder = tmp_path_factory.mktemp("load")
        yield {
            name: convert(
                variant,
                None,
                folder / name,
                precision="fp32",
                cameras=2,
                temporal=temporal,
                outputs=("logits",),
            )
            for name, variant, temporal in (
                ("pillars", "small-pillars", "batch"),
                ("batch", "small-4d", "batch"),
                ("exact", "small-4d", "exact"),
            )
        }


def distinct(count: int) -> list[tuple[dict[str, np.ndarray], Rig]]:
    """Frames that differ in images and rig."""
    made = [make_frame(0, seed=seed) for seed in range(count)]
    return [(images, turned(rig, 10.0 * index)) for index, (images, rig) in enumerate(made)]


def test_eight_threads_on_one_pipeline_get_their_own_labels(small):
    pipeline, frames = Pipeline(small["pillars"], precision="f32"), distinct(8)
    expected = [pipeline(*frame).extras["logits"] for frame in frames]
    assert len({logits.tobytes() for logits in expected}) == 8
    meet = threading.Barrier(8)

    def work(mine: int) -> list[int]:
        meet.wait()
        order = np.random.default_rng(mine).permutation(np.arange(25) % 8)
        return [int(i) for i in order if (pipeline(*frames[i]).extras["logits"] != expected[i]).any()]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [[]] * 8


def broken(kind: int, frame: tuple[dict[str, np.ndarray], Rig]) -> object:
    """One of the things that go wrong with a frame."""
    images, rig = frame
    name = rig.names[0]
    return (
        OSError("the camera is gone"),
        Frame(Path("no/such/folder"), rig),
        Frame({**images, name: images[name][:10]}, rig),
        Frame({**images, name: b"\xff\xd8\xff no JPEG"}, rig),
        Frame(images, replace(rig, cameras=rig.cameras[:1])),
        Frame({}, rig),
        "not a frame",
    )[kind]


def resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def long_stream(pipeline: Pipeline, frames: list, count: int) -> dict[str, float]:
    """Random frames, one in twenty broken: order, results, threads and memory."""
    expected = [pipeline(*frame).labels for frame in frames]
    rng = np.random.default_rng(count)
    chosen = rng.integers(0, len(frames), count)
    faults = np.where(rng.random(count) < 0.05, rng.integers(0, 7, count), -1)
    before = set(threading.enumerate())
    source = (broken(fault, frames[i]) if fault >= 0 else frames[i] for i, fault in zip(chosen, faults, strict=True))
    memory = []
    for index, result in enumerate(pipeline.stream(source)):  # type: ignore[arg-type]
        assert isinstance(result, Failure) == (faults[index] >= 0), index
        if isinstance(result, Failure):
            assert result.index == index
        else:
            assert np.array_equal(result.labels, expected[chosen[index]]), index
        if index % 100 == 99:
            memory.append(resident_mib())
    assert index == count - 1
    assert set(threading.enumerate()) <= before
    late = np.array(memory[len(memory) // 5 :])  # allocators fill their pools first
    slope = float(np.polyfit(100 * np.arange(len(late)), late, 1)[0])
    return {"failures": int((faults >= 0).sum()), "growth_mib_per_1000": 1000 * slope, "last_mib": memory[-1]}


def test_a_stream_with_faults_keeps_order_and_leaves_no_thread(small):
    found = long_stream(Pipeline(small["pillars"], precision="f32"), distinct(8), 1000)
    assert found["failures"] > 20


@pytest.mark.by_hand
def test_ten_thousand_frames_of_the_nano_with_faults(nano, rig, images):
    """Memory is flat: less than 1 MiB grows over 1,000 frames, where one frame kept would be 0.4 MiB and more."""
    frames = [
        ({name: np.roll(image, 40 * shift, axis=1) for name, image in images.items()}, turned(rig, 7.0 * shift))
        for shift in range(8)
    ]
    found = long_stream(Pipeline(nano.path), frames, 10_000)
    print(found)
    assert found["growth_mib_per_1000"] < 1.0


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(["next", "next", "next", "drop", "cut", "fault", "scene"]), min_size=2, max_size=10))
def test_a_temporal_stream_is_a_batch_run_of_the_frames_that_remain(small, events):
    """Frames that are dropped or fail are no one's past; a cut or another scene begins anew."""
    with known():
        # what is missing leaves a gap, which is not to count as a cut here
        stream = Pipeline(small["exact"], precision="f32", limits=Limits(gap=60.0))
        batch = Pipeline(small["batch"], precision="f32")
    wanted = small["batch"].variant.frames - 1
    position, place, scene, past = 0, 0.0, "a", []
    given_frames, expected = [], []
    for number, event in enumerate(events):
        position += 2 if event == "drop" else 1
        if event == "cut":
            place += 500.0
        if event == "scene":
            scene += "'"
        if event in ("cut", "scene"):
            past = []
        images, rig = make_frame(position, start=place, seed=number)
        if event == "fault":
            given_frames.append(Frame({}, rig, scene=scene, time=position / 2))
            expected.append(None)
            continue
        given_frames.append(Frame(images, rig, scene=scene, time=position / 2))
        expected.append(batch(images, rig, past[:wanted]).extras["logits"])
        past = [(images, rig), *past]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # cuts and gaps are told: tests/runtime/test_memory.py
        results = list(stream.stream(given_frames))
    for result, logits in zip(results, expected, strict=True):
        if logits is None:
            assert isinstance(result, Failure)
        else:
            np.testing.assert_allclose(result.extras["logits"], logits, atol=2e-3 * logits.std(), rtol=0)
