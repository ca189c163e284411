"""What is asked of OpenVINO is what runs, or an error; on the CPU and on the devices that stand before it."""

import numpy as np
import openvino as ov
import pytest

from occvino.errors import DeviceError
from occvino.runtime import Pipeline
from occvino.runtime.devices import Settings, compile_model, running
from occvino.runtime.npu_rules import COMPILED, check_npu_rules
from occvino.runtime.npu_rules import REFUSED as OPERATORS_REFUSED
from tests.npu.operators import REFUSED, TAKEN, model_of


@pytest.fixture(scope="module")
def small():
    """A convolution and a Relu."""
    ops = ov.opset8
    x = ops.parameter([1, 3, 8, 8], np.float32, name="x")
    weights = ops.constant(np.ones((4, 3, 3, 3), np.float32))
    return ov.Model([ops.relu(ops.convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1]))], [x], "small")


BEHIND = ["CPU", "HETERO:CPU", "AUTO", "AUTO:CPU"]


@pytest.mark.slow
@pytest.mark.parametrize("device", BEHIND)
def test_labels_and_what_is_told_are_the_same_behind_hetero_and_auto(nano, rig, images, device):
    asked = {"precision": "fp32", "threads": 1, "hint": "throughput", "streams": 1}
    pipeline, plain = Pipeline(nano, device, **asked), Pipeline(nano, precision="f32")
    running = pipeline.running
    assert running.devices == ("CPU",)
    assert {name: getattr(running, name) for name in asked} == asked
    np.testing.assert_array_equal(pipeline(images, rig).labels, plain(images, rig).labels)


@pytest.mark.parametrize("device", BEHIND)
@pytest.mark.parametrize(
    ("precision", "named", "theirs"), [("fp32", "fp32", "f32"), ("f16", "fp16", "f16"), ("BF16", "bf16", "bf16")]
)
def test_a_precision_is_what_runs_or_an_error(small, device, precision, named, theirs):
    if named.upper() in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        compiled = compile_model(small, device, Settings(precision))
        own = {} if device == "CPU" else compiled.get_property("DEVICE_PROPERTIES")["CPU"]
        hint = own.get("INFERENCE_PRECISION_HINT") or compiled.get_property("INFERENCE_PRECISION_HINT")
        assert hint.get_type_name() == theirs
        assert running(compiled, device).precision == named
    else:
        with pytest.raises(DeviceError, match=f"computes in .*, {named} was asked for"):
            compile_model(small, device, Settings(precision))


@pytest.mark.parametrize("device", BEHIND)
@pytest.mark.parametrize("asked", [{"streams": 4096}, {"threads": 4096}])
def test_more_than_there_is_is_an_error(small, device, asked):
    with pytest.raises(DeviceError, match="[0-9]+, 4096 was asked for"):
        compile_model(small, device, Settings(**asked))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"hint": "fast"}, "hint='fast': expected one of latency, throughput"),
        ({"streams": 0}, "streams=0: expected a whole number from 1 up"),
        ({"threads": "2"}, "threads='2': expected a whole number"),
        ({"precision": "int4"}, "precision 'int4': a device computes in one of fp32, fp16, bf16"),
        ({"precision": "int8"}, "int8 is a property of the artifact: convert with --precision int8"),
    ],
)
def test_nonsense_is_refused(small, asked, message):
    with pytest.raises(DeviceError, match=message):
        compile_model(small, "CPU", Settings(**asked))


def test_a_device_that_does_not_tell_is_not_believed(small, monkeypatch):
    monkeypatch.setattr("occvino.runtime.devices._property", lambda compiled, name: None)
    with pytest.raises(DeviceError, match="CPU does not tell what it computes in, fp32 was asked for"):
        compile_model(small, "CPU", Settings("f32"))
    compile_model(small, "CPU")


@pytest.mark.parametrize("device", BEHIND)
def test_the_second_start_is_from_the_cache(small, device, tmp_path):
    def loaded():
        return running(compile_model(small, device, Settings(cache=tmp_path / "new" / "c")), device, cache=True)

    assert loaded().from_cache is False
    assert loaded().from_cache is True
    assert "from the cache" in str(loaded())


def test_a_damaged_cache_is_written_anew(small, tmp_path):
    def loaded():
        return running(compile_model(small, "CPU", Settings(cache=tmp_path)), "CPU", cache=True).from_cache

    assert loaded() is False
    for blob in tmp_path.iterdir():
        blob.write_bytes(blob.read_bytes()[:100])
    assert loaded() is False
    assert loaded() is True


def test_models_that_differ_in_one_weight_share_a_cache_and_no_compiled_model(small, tmp_path):
    other = small.clone()
    weights = next(op for op in other.get_ops() if op.get_type_name() == "Constant" and op.get_byte_size() > 100)
    changed = weights.get_data().copy()
    changed.flat[50] = 2.0
    weights.output(0).replace(ov.opset8.constant(changed).output(0))
    x = np.ones((1, 3, 8, 8), np.float32)
    settings = Settings("f32", cache=tmp_path)
    expected = [compile_model(model, "CPU", Settings("f32"))(x)[0] for model in (small, other)]
    assert not np.array_equal(*expected)
    for from_cache in (False, True):
        for model, labels in zip((small, other), expected, strict=True):
            compiled = compile_model(model, "CPU", settings)
            assert running(compiled, "CPU", cache=True).from_cache is from_cache
            np.testing.assert_array_equal(compiled(x)[0], labels)


def test_what_labels_follow_from_is_told_without_what_makes_them_sooner(small, tmp_path):
    found = [
        running(compile_model(small, "CPU", settings), "CPU", cache=True)
        for settings in (Settings("f32", threads=1, cache=tmp_path), Settings("f32", 2, "throughput", cache=tmp_path))
    ]
    assert str(found[0]) != str(found[1])
    assert [each.computes for each in found] == ["CPU, fp32", "CPU, fp32"]


def test_a_cache_that_cannot_be_kept_is_an_error(small, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DeviceError, match="cannot be a folder of compiled models"):
        compile_model(small, "CPU", Settings(cache=tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_split_run_is_cached_too(nano, tmp_path):
    options = {"stages": {"encoder": "CPU", "pool": "CPU", "trunk": "CPU"}, "cache": tmp_path}
    assert Pipeline(nano, **options).running.from_cache is False
    assert Pipeline(nano, **options).running.from_cache is True


@pytest.mark.parametrize("device", ["CPU", "HETERO:CPU", "AUTO:CPU"])
def test_threads_reach_every_stage_that_may_be_on_the_cpu(nano, device):
    stages = dict.fromkeys(("encoder", "pool", "trunk"), device)
    found = Pipeline(nano, stages=stages, threads=1).running.stages
    assert [stage.threads for stage in found.values()] == [1, 1, 1]


def test_threads_that_no_stage_would_take_are_refused(nano):
    with pytest.raises(DeviceError, match="no stage runs on the CPU, whose they are"):
        Pipeline(nano, stages=dict.fromkeys(("encoder", "pool", "trunk"), "GPU"), threads=1)


def test_operators_that_were_seen_to_compile_are_those_that_the_compiler_is_asked_about():
    """tests/npu/test_operators.py asks it; a list that is longer than the questions would be a belief."""
    asked = {name.split(",")[0] for name in TAKEN if "-" in name.split(",")[0]}
    assert asked == set(COMPILED)
    assert {name for name in REFUSED if "-" in name and "," not in name} == set(OPERATORS_REFUSED)
    for name, build in {**TAKEN, **REFUSED}.items():
        kinds = check_npu_rules(model_of(build)).operators
        assert name.split(",")[0] in kinds or "-" not in name.split(",")[0], name


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_rules_pass_what_compiles(name):
    assert check_npu_rules(model_of(TAKEN[name])).ok


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_rules_refuse_what_does_not(name):
    assert not check_npu_rules(model_of(REFUSED[name])).ok
