"""The IR cut at its taps: the parts hold all of it, once, and give what it gives."""

import threading

import numpy as np
import openvino as ov
import pytest

from occvino.errors import DeviceError
from occvino.runtime import Frame, Pipeline
from occvino.runtime.devices import Settings, compile_model
from occvino.runtime.network import Network
from occvino.runtime.split import split
from occvino.runtime.stages import CUTS, parts_on
from tests.runtime.test_stream import frames

ON_CPU = dict.fromkeys(CUTS, "CPU")


@pytest.fixture(scope="module")
def model(nano):
    return ov.Core().read_model(nano.path / "model.xml")


def names(values):
    return [value.get_any_name() for value in values]


def test_each_part_takes_what_it_reaches_and_gives_what_it_is_first_to_have(model):
    parts = split(model, CUTS)
    assert {name: (set(names(part.inputs)), set(names(part.outputs))) for name, part in parts.items()} == {
        "encoder": ({"images"}, {"depth", "features"}),
        "pool": ({"depth", "features", "ranks_depth", "ranks_feat", "interval_starts"}, {"bev"}),
        "trunk": ({"bev"}, {"labels", "logits"}),
    }


def test_nothing_is_computed_twice_or_lost(model):
    def work(part):
        passive = ("Parameter", "Constant", "Result")
        return sorted(op.get_friendly_name() for op in part.get_ops() if op.get_type_name() not in passive)

    assert sorted(name for part in split(model, CUTS).values() for name in work(part)) == work(model)


def test_the_model_stays_as_it_is(model):
    def edges():
        return [
            (op.get_friendly_name(), [str(each.get_source_output()) for each in op.inputs()]) for op in model.get_ops()
        ]

    before = edges()
    split(model, CUTS)
    assert edges() == before


def test_a_split_run_gives_the_same_bits(nano, rig, images):
    """In f32. In bf16 or f16 the plugin fuses across a cut and rounds elsewhere."""
    whole, parts = Pipeline(nano, precision="f32"), Pipeline(nano, stages=ON_CPU, precision="f32")
    assert parts.parallel == 3
    given = list(frames(rig, images, 5))
    prepared = parts.prepare(Frame(*given[0]))
    assert all(seconds > 0 for seconds in parts.infer(prepared).seconds.values())
    assert list(parts.infer(prepared).seconds) == list(CUTS)
    assert list(whole.infer(prepared).seconds) == [""]
    for found, expected in zip(parts.stream(given), (whole(*frame) for frame in given), strict=True):
        np.testing.assert_array_equal(found.labels, expected.labels)
        for name in ("logits", "depth"):
            np.testing.assert_array_equal(found.extras[name], expected.extras[name])


def test_frames_follow_one_another_through_the_stages(nano, rig, images):
    """While the trunk has one frame, the encoder has a later one."""
    pipeline = Pipeline(nano, stages=ON_CPU)
    busy, seen, lock = [], set(), threading.Lock()

    class Watched:
        def __init__(self, request, name):
            self.request, self.name = request, name

        def infer(self, inputs, **options):
            with lock:
                busy.append(self.name)
                seen.add(tuple(sorted(busy)))
            try:
                return self.request.infer(inputs, **options)
            finally:
                with lock:
                    busy.remove(self.name)

    for name, stage in pipeline._network._stages.items():
        stage._requests.put(Watched(stage._requests.get(), name))
    list(pipeline.stream(frames(rig, images, 8)))
    assert any({"encoder", "trunk"} <= set(names) for names in seen)
    assert all(len(set(names)) == len(names) for names in seen), "a stage has one infer request here"


def test_each_stage_tells_what_it_runs_on(nano):
    running = Pipeline(nano, stages={**ON_CPU, "pool": "hetero:cpu"}, precision="f32", threads=1).running
    assert list(running.stages) == list(CUTS)
    assert running.stages["pool"].requested == "HETERO:CPU"
    assert (running.devices, running.precision, running.stages["trunk"].threads) == (("CPU",), "fp32", 1)
    assert "encoder: CPU -> CPU, fp32, 1 threads" in str(running)
    assert running.to_dict()["stages"]["trunk"]["devices"] == ("CPU",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": {"encoder": "CPU"}}, "no device for pool, trunk: give one to each of encoder, pool, trunk"),
        (
            {"stages": {**ON_CPU, "head": "CPU"}},
            "there is no stage head: give a device to each of encoder, pool, trunk",
        ),
        ({"stages": {**ON_CPU, "pool": "GPU.7"}}, r"there is no device GPU\.7: devices here: CPU"),
        ({"stages": ON_CPU, "device": "AUTO"}, "device=AUTO and stages contradict each other"),
        ({"stages": ON_CPU, "streams": 64}, "CPU runs with streams=[0-9]+, 64 was asked for"),
    ],
)
def test_a_split_that_cannot_be_had_is_an_error(nano, options, message):
    with pytest.raises(DeviceError, match=message):
        Pipeline(nano, **options)


def test_a_model_without_the_taps_is_named(model):
    with pytest.raises(DeviceError, match="the IR has no tap attention to be cut at"):
        split(model, {"one": ("attention",), "two": ()})


def test_what_goes_around_a_cut_is_an_error(model):
    """The neck's output reaches both depth and features: cut at one of them, and the other still comes through."""
    with pytest.raises(DeviceError, match="cannot be cut at depth, bev: .* bypasses them"):
        split(model, {"encoder": ("depth",), "pool": ("bev",), "trunk": ()})


@pytest.mark.parametrize("threads", [1, 3])
def test_an_npus_parts_run_on_a_cpu_give_what_the_whole_gives(nano, rig, images, threads):
    """The encoder takes one camera there and is run six times; in f32, where that changes nothing but rounding."""
    pipeline = Pipeline(nano, precision="f32")
    inputs = pipeline.prepare(Frame(images, rig)).inputs
    expected = pipeline.infer(pipeline.prepare(Frame(images, rig))).outputs
    model = ov.Core().read_model(nano.path / "model.xml")
    parts = parts_on("NPU.0", model)
    assert parts["encoder"].input("images").shape[0] == 1
    compiled = {name: compile_model(part, "CPU", Settings("fp32")) for name, part in parts.items()}
    network = Network(model, "CPU", imported=compiled)
    found: list[dict] = []
    running = [threading.Thread(target=lambda: found.append(network(inputs))) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    assert len(found) == threads
    for outputs in found:
        np.testing.assert_allclose(outputs["logits"], expected["logits"], atol=2e-4)
        assert (outputs["labels"] == expected["labels"]).mean() > 0.9999


def test_other_devices_run_it_in_one_piece(model):
    """GPUs with matrix engines too; one that is not here is left to fail where it is compiled for."""
    assert set(parts_on("CPU", model)) == set(parts_on("GPU.1", model)) == {""}


def test_a_gpu_without_matrix_engines_runs_two_models_that_give_the_same(nano, rig, images, monkeypatch):
    from occvino.runtime import stages

    asked: list[str] = []
    monkeypatch.setattr(stages, "has_matrix_engines", lambda device: asked.append(device))
    model = ov.Core().read_model(nano.path / "model.xml")
    parts = parts_on("GPU.0", model)
    assert asked == ["GPU.0"]
    assert names(parts["trunk"].inputs) == ["bev"]
    pipeline = Pipeline(nano, precision="f32")
    inputs = pipeline.prepare(Frame(images, rig)).inputs
    compiled = {name: compile_model(part, "CPU", Settings("fp32")) for name, part in parts.items()}
    found = Network(model, "CPU", imported=compiled)(inputs)
    np.testing.assert_array_equal(
        found["labels"], pipeline.infer(pipeline.prepare(Frame(images, rig))).outputs["labels"]
    )
