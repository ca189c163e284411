"""The stream's promises: order, window, failures in place, clean ends. Its twin is a plain loop of calls."""

import contextlib
import gc
import io
import random
import threading
import time
import weakref
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occvino.errors import FrameError, OccvinoError
from occvino.geometry.rig import Rig
from occvino.images import inputs as preprocess
from occvino.runtime import Failure, Frame, Occupancy, Pipeline
from occvino.runtime.frame import Inferred, Prepared
from occvino.runtime.stream import stream
from occvino.variants import get_variant
from tests.conftest import make_camera

NANO = get_variant("occvino-nano")


@dataclass
class Toy:
    """Three steps that take random times and fail where they are told to. A frame is its number."""

    parallel: int = 1
    fails: dict[int, str] = field(default_factory=dict)
    longest: float = 0.002
    inferred: list[int] = field(default_factory=list)
    remembered: int | None = None
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def _work(self, number, step):
        time.sleep(random.random() * self.longest)
        if self.fails.get(number) == step:
            raise RuntimeError(f"{step} of {number}")

    def prepare(self, frame, pool=None):
        self._work(frame.images, "prepare")
        return Prepared(frame, {}, None)

    def infer(self, prepared):
        number = prepared.frame.images
        with self.lock:
            self.inferred.append(number)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self._work(number, "infer")
            self.remembered = number
        finally:
            with self.lock:
                self.at_once -= 1
        return Inferred({"labels": np.full(1, number)})

    def finish(self, prepared, inferred):
        self._work(prepared.frame.images, "finish")
        return Occupancy(inferred.outputs["labels"], NANO.class_names, NANO.occupancy_grid)

    def reset(self):
        self.remembered = None


def threads():
    return {thread for thread in threading.enumerate() if thread.name.startswith("occvino-")}


@pytest.fixture(autouse=True)
def no_thread_is_left():
    assert not threads()
    yield
    assert not threads()


def take(results, taken):
    for result in results:
        taken.append(result.labels[0])


STEPS = st.sampled_from(["prepare", "infer", "finish"])


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 25),
    parallel=st.integers(1, 3),
    window=st.none() | st.integers(1, 6),
    workers=st.none() | st.integers(1, 4),
    fails=st.dictionaries(st.integers(0, 24), STEPS, max_size=8),
    leave=st.none() | st.integers(0, 25),
)
def test_order_window_and_failures_hold_whatever_the_timing(count, parallel, window, workers, fails, leave):
    toy, drawn, taken = Toy(parallel, fails), 0, 0

    def source():
        nonlocal drawn
        for number in range(count):
            drawn += 1
            assert drawn - taken <= (window or 2 * parallel + (workers or 8)), "the source was drained ahead"
            yield Frame(number)

    results = stream(toy, source(), window=window, workers=workers)
    for result in results:
        if taken in fails:
            assert (result.index, str(result.error)) == (taken, f"{fails[taken]} of {taken}")
            assert not result
        else:
            assert result.labels[0] == taken
        taken += 1
        if taken == leave:
            results.close()
            assert not threads()
            break
    assert taken == (min(count, leave) if leave else count)
    assert toy.most_at_once <= parallel
    if parallel == 1:
        assert toy.inferred == sorted(toy.inferred), "a network with a memory needs its frames in order"
        assert toy.remembered is None or toy.remembered < taken, "it remembers a frame whose result nobody took"


def test_the_steps_overlap():
    """A plain loop takes the sum of the three steps for each frame, a stream the longest; the bound is between them."""
    toy = Toy()
    toy._work = lambda number, step: time.sleep(0.02)
    start = time.perf_counter()
    assert len(list(stream(toy, map(Frame, range(30)), workers=2))) == 30
    assert time.perf_counter() - start < 30 * 0.02 * 2


def test_inferences_run_side_by_side_where_the_device_wants_that():
    toy = Toy(parallel=3, longest=0.01)
    list(stream(toy, map(Frame, range(30))))
    assert toy.most_at_once == 3


def test_a_result_goes_out_before_a_slow_source_is_asked_again():
    asked = []

    def camera():
        for number in range(3):
            asked.append(number)
            yield Frame(number)
            time.sleep(0.1)  # the next image takes its time, and by then the last result is there

    for number, _ in enumerate(stream(Toy(), camera(), window=5)):
        assert asked[-1] <= number + 1


def test_an_error_of_the_source_comes_after_the_results_before_it():
    def source():
        yield from map(Frame, range(5))
        raise OSError("the disk is gone")

    taken = []
    with pytest.raises(OSError, match="the disk is gone"):
        take(stream(Toy(), source()), taken)
    assert taken == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("where", ["source", "loop", "finish"])
def test_an_interrupt_ends_everything_at_once(where):
    toy = Toy(longest=0.01)

    def source():
        for number in range(100):
            if where == "source" and number == 7:
                raise KeyboardInterrupt
            yield Frame(number)

    if where == "finish":
        toy.finish = lambda prepared, inferred: (_ for _ in ()).throw(KeyboardInterrupt)

    def run():
        with contextlib.closing(stream(toy, source())) as results:
            for number, _ in enumerate(results):
                if where == "loop" and number == 3:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert not threads()
    assert len(toy.inferred) < 50


def test_leaving_the_loop_is_enough_and_drops_what_waits():
    toy = Toy(longest=0.01)
    for _ in stream(toy, map(Frame, range(100)), window=20):
        break
    gc.collect()
    assert not threads()
    assert len(toy.inferred) < 20


def test_a_stream_that_nobody_asked_anything_starts_nothing():
    results = stream(Toy(), iter(pytest.fail, None))
    assert not threads()
    results.close()


def test_a_failure_that_is_kept_keeps_no_images():
    class Held:
        pass

    def prepare(frame, pool=None):
        image = Held()
        held.append(weakref.ref(image))
        try:
            raise ValueError("inner")
        except ValueError as error:
            raise FrameError(f"bad {type(image).__name__}") from error

    held, toy = [], Toy()
    toy.prepare = prepare
    (failure,) = stream(toy, [Frame(0)])
    gc.collect()
    assert held[0]() is None
    assert failure.error.__traceback__ is not None, "where it happened is still told"
    assert str(failure) == "frame 0: FrameError: bad Held"


def test_a_source_may_give_what_it_caught_and_goes_on():
    def source():
        for number in range(6):
            try:
                if number % 2:
                    raise OSError(f"camera lost {number}")
                yield Frame(number)
            except OSError as error:
                yield error

    for window in (1, None):
        results = list(stream(Toy(), source(), window=window))
        assert [bool(result) for result in results] == [True, False] * 3
        assert str(results[5]) == "frame 5: OSError: camera lost 5"


def test_an_error_that_is_its_own_cause_is_a_failure_like_any():
    error = FrameError("round and round")
    error.__cause__ = error
    assert [bool(result) for result in stream(Toy(), [error, Frame(1)])] == [False, True]


def test_what_was_taken_one_by_one_is_still_remembered_after_leaving():
    toy = Toy()
    results = stream(toy, map(Frame, range(9)), window=1)
    taken = [next(results).labels[0] for _ in range(3)]
    results.close()
    assert taken == [0, 1, 2]
    assert toy.remembered == 2


def test_nonsense_is_refused_before_anything_starts():
    for wrong in ({"window": 0}, {"workers": -1}):
        with pytest.raises(OccvinoError, match="expected 1 or more"):
            stream(Toy(), [], **wrong)
    (failure,) = stream(Toy(), ["CAM_FRONT.jpg"])
    assert "a stream takes Frame(images, rig, ...) or (images, rig), not str" in str(failure)


@pytest.fixture(scope="module")
def pipeline(nano):
    return Pipeline(nano.path, precision="f32")


def moved(rig, yaw):
    return Rig((make_camera(rig.names[0], yaw=yaw), *rig.cameras[1:]))


def frames(rig, frames, count):
    """Another image and another rig each time."""
    for number in range(count):
        images = {name: np.roll(frame, 30 * number, axis=1) for name, frame in frames.items()}
        yield images, moved(rig, 55.0 - 3 * number)


def test_a_stream_gives_what_calls_give(pipeline, rig, images):
    expected = [pipeline(*frame) for frame in frames(rig, images, 6)]
    assert (expected[0].labels != expected[5].labels).any()
    for found, wanted in zip(pipeline.stream(frames(rig, images, 6)), expected, strict=True):
        np.testing.assert_array_equal(found.labels, wanted.labels)
        np.testing.assert_array_equal(found.extras["logits"], wanted.extras["logits"])


@pytest.mark.slow
def test_streams_side_by_side_label_alike(nano, rig, images):
    fast = Pipeline(nano.path, precision="f32", hint="throughput", streams=2)
    assert fast.parallel == 2
    one = Pipeline(nano.path, precision="f32")
    for found, frame in zip(fast.stream(frames(rig, images, 6)), frames(rig, images, 6), strict=True):
        assert (found.labels == one(*frame).labels).mean() > 0.9999


def test_a_bad_image_a_bad_rig_and_a_device_error_fail_in_their_places(pipeline, rig, images, monkeypatch):
    other = Rig(tuple(make_camera(f"CAM_{number}") for number in range(6)))
    good, small = (images, rig), {**images, rig.names[2]: images[rig.names[2]][:100]}
    run = pipeline._network

    def network(inputs, *places):
        if inputs["images"].max() == 77:
            raise RuntimeError("the device is lost")
        return run(inputs, *places)

    monkeypatch.setattr(pipeline, "_network", network)
    dark = {name: np.full_like(frame, 77) for name, frame in images.items()}
    given = [good, (small, rig), good, (list(images.values()), other), (dark, rig), ("nowhere", rig), good]
    results = list(pipeline.stream(given))
    wrong = {1: "is 352x100, the rig says 352x198", 3: "the rig has cameras CAM_0", 4: "the device is lost"}
    wrong[5] = "image folder not found: nowhere"
    for index, result in enumerate(results):
        if index in wrong:
            assert isinstance(result, Failure)
            assert wrong[index] in str(result.error)
        else:
            np.testing.assert_array_equal(result.labels, results[0].labels)
    assert len(results) == len(given)


def jpegs(frames, count):
    """Images of several frames as their cameras send them."""
    for number in range(count):
        sent = {}
        for name, frame in frames.items():
            file = io.BytesIO()
            Image.fromarray(np.roll(frame, 30 * number, axis=1)).save(file, "JPEG", quality=95)
            sent[name] = file.getvalue()
        yield sent


def watch_cameras(monkeypatch, seen):
    """`seen` is called with each image that is read, before it is."""
    read = preprocess.read
    monkeypatch.setattr(preprocess, "read", lambda frame, *how: (seen(frame), read(frame, *how))[1])


def test_later_jpegs_are_decoded_while_the_device_runs_earlier_ones(pipeline, rig, images, monkeypatch):
    """The first inference does not end before the second frame is being read."""
    frames, second = list(jpegs(images, 3)), threading.Event()
    expected = [pipeline(sent, rig).labels for sent in frames]
    watch_cameras(monkeypatch, lambda frame: frame in frames[1].values() and second.set())
    run = pipeline._network
    monkeypatch.setattr(pipeline, "_network", lambda *given: run(*given) if second.wait(20) else pytest.fail("alone"))
    for found, wanted in zip(pipeline.stream([(sent, rig) for sent in frames], workers=1), expected, strict=True):
        np.testing.assert_array_equal(found.labels, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("window", [1, None])
def test_a_stream_reads_with_all_of_its_workers_and_no_more(pipeline, rig, images, monkeypatch, window, workers):
    at_once, most, lock = 0, 0, threading.Lock()

    def seen(_):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1

    watch_cameras(monkeypatch, seen)
    given = [(sent, rig) for sent in jpegs(images, 3)]
    assert all(pipeline.stream(given, window=window, workers=workers))
    assert most == workers


@pytest.mark.slow
def test_calls_and_streams_of_one_object_do_not_mix(pipeline, rig, images):
    """From several threads at a time, as a server would."""
    expected = [pipeline(*frame).labels for frame in frames(rig, images, 4)]
    wrong = []

    def work(seed):
        results = (
            pipeline.stream(frames(rig, images, 4)) if seed % 2 else (pipeline(*s) for s in frames(rig, images, 4))
        )
        wrong.extend(i for i, (f, e) in enumerate(zip(results, expected, strict=True)) if (f.labels != e).any())

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
