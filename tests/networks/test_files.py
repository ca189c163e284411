"""Checkpoint files as people have them: each loads, or is named for what it is, with the fix."""

import io
import json
import struct
import tarfile
import time
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from occvino.errors import CheckpointError
from occvino.networks import build
from occvino.networks.fit import identify
from occvino.networks.weights import PARTS, CheckpointWarning, read_checkpoint
from occvino.variants import variants

NANO = "occvino-nano"


@pytest.fixture(scope="module")
def weights():
    return build(NANO, seed=7).state_dict()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.pth"


def test_parts_are_those_of_all_variants():
    from occvino.networks.fit import _skeleton

    assert {key.split(".")[0] for name in variants() for key in _skeleton(name)} == set(PARTS)


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda w: {"net": w}, "the weights are under 'net'"),
        (lambda w: {"ema": w}, "the weights are under 'ema'"),
        (lambda w: {"model_state_dict": w, "epoch": 3}, "the weights are under 'model_state_dict'"),
        (lambda w: {"anything": {"state_dict": w}}, r"the weights are under 'anything\.state_dict'"),
        (lambda w: {f"model.{k}": v for k, v in w.items()}, r"all keys begin with 'model\.'"),
        (lambda w: {f"module.model.{k}": v for k, v in w.items()}, r"all keys begin with 'module\.model\.'"),
        (
            lambda w: {(f"module.{k}" if i % 2 else k): v for i, (k, v) in enumerate(w.items())},
            r"116 of 232 keys begin with 'module\.'",
        ),
        (
            lambda w: {"state_dict": w, "ema_state_dict": {k: v + 1 for k, v in w.items()}},
            "under 'state_dict' and 'ema_state_dict'; those under 'state_dict' were taken",
        ),
    ],
)
def test_unusual_places_are_named(path, weights, wrap, said):
    torch.save(wrap(weights), path)
    with pytest.warns(CheckpointWarning, match=said):
        found = build(NANO, path).state_dict()
    assert all(torch.equal(found[key], weights[key]) for key in weights)


def test_two_networks_in_one_file_are_refused(path, weights):
    for first, second in (("student.", "teacher."), ("", "module.")):
        both = {f"{name}{key}": value for name in (first, second) for key, value in weights.items()}
        torch.save(both, path)
        with pytest.raises(CheckpointError, match="holds the weights of several networks"):
            build(NANO, path)


def test_counters_of_batch_norms_may_be_missing(path, weights):
    torch.save({key: value for key, value in weights.items() if "num_batches" not in key}, path)
    found = build(NANO, path).state_dict()
    assert found.keys() == weights.keys()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_of_other_sizes_loads(path, weights, kind):
    torch.save({key: value.to(kind) if value.is_floating_point() else value for key, value in weights.items()}, path)
    found = build(NANO, path).state_dict()
    key = "img_backbone.conv1.weight"
    assert torch.equal(found[key], weights[key].to(kind).float())


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn, torch.complex64, torch.bool])
def test_whole_numbers_and_eighths_are_no_weights(tmp_path, weights, kind):
    changed = {key: value.to(kind) if value.is_floating_point() else value for key, value in weights.items()}
    save_file(changed, tmp_path / "w.safetensors")
    name = str(kind).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=f"holds {name} where floating-point weights belong, in 197 tensors"):
        build(NANO, tmp_path / "w.safetensors")


def test_values_that_cannot_be_are_refused_and_empty_ones_doubted(path, weights):
    variance = "img_backbone.bn1.running_var"
    torch.save({**weights, variance: -weights[variance]}, path)
    with pytest.raises(CheckpointError, match=rf"variances below 0 in 1 tensors, first {variance}"):
        build(NANO, path)
    torch.save({**weights, variance: weights[variance].double() * 1e300}, path)
    with pytest.raises(CheckpointError, match=rf"not finite in 1 tensors, first {variance}"):
        build(NANO, path)
    torch.save({key: torch.zeros_like(value) for key, value in weights.items()}, path)
    with pytest.warns(CheckpointWarning, match="weights are all zero, first"):
        build(NANO, path)


def packed(name, *, by=zipfile.ZIP_STORED, **content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", by) as archive:
        for inside, data in content.items():
            archive.writestr(inside.replace("__", "/"), data)
    return stream.getvalue()


def tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("w.pth"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\0" * 1000, "all zeros at its beginning"),
        (b"\x08\x0a\x12\x07pytorch\x1a\x052.1.0", "is an ONNX model"),
        (b"<?xml version='1.0'?><net name='x'>", "is an OpenVINO IR"),
        (b'{"a": 1}', "a text file"),
        (b"\x1f\x8b\x08\x00", "packed by gzip"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (tar(), "is a tar archive"),
        (
            packed("w", model__code__x=b"", model__data_pkl=b"", **{"model__constants.pkl": b""}),
            "is a TorchScript model",
        ),
        (packed("w", **{"plain.pth": b"12"}), r"is a zip archive of plain\.pth, not a checkpoint: unpack it"),
        (packed("w", **{"semantics.npy": b"12"}), "is a NumPy archive"),
        (packed("w", by=zipfile.ZIP_DEFLATED, **{"w__data.pkl": bytes(10_000_000)}), "claims to hold 10000000"),
        (b"PK\x03\x04 and so on", "a zip file without its end"),
        (struct.pack("<Q", 1 << 60) + b'{"x": 1}', "its header claims 1152921504606846976 bytes and the file has 16"),
        (struct.pack("<Q", 8) + b'{"x": 1}', "is not a complete safetensors file"),
    ],
)
def test_other_files_are_named_by_their_content_and_quickly(path, content, said):
    path.write_bytes(content)
    begin = time.monotonic()
    with pytest.raises(CheckpointError, match=said) as caught:
        build(NANO, path)
    assert time.monotonic() - begin < 10
    assert "weights_only" not in str(caught.value)
    assert "add_safe_globals" not in str(caught.value)


def test_content_counts_and_not_the_name(tmp_path, weights):
    torch.save(weights, tmp_path / "w.safetensors")
    save_file(weights, tmp_path / "w.pth")
    assert read_checkpoint(tmp_path / "w.safetensors").container == "PyTorch (zip)"
    assert read_checkpoint(tmp_path / "w.pth").container == "safetensors"
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)


def test_a_flipped_bit_is_found(path):
    torch.save({"a": torch.zeros(100_000), "b": torch.ones(3)}, path)
    whole = bytearray(path.read_bytes())
    whole[200_000] ^= 1
    path.write_bytes(whole)
    with pytest.raises(CheckpointError, match=r"the checksum of w/data/0 is wrong"):
        read_checkpoint(path)


def test_a_file_without_checksums_loads(path, weights):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(weights, path)
    finally:
        torch.serialization.set_crc32_options(before)
    build(NANO, path)


def test_a_whole_module_is_refused_without_bad_advice(path):
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), path)
    with pytest.raises(CheckpointError, match=r"asks for torch\.nn\.modules\.container\.Sequential") as caught:
        build(NANO, path)
    assert "weights_only" not in str(caught.value)
    assert "add_safe_globals" not in str(caught.value)


def test_dictionaries_that_hold_each_other_end(path):
    names = {"x": np.float64(1)}
    for _ in range(40):
        names = {str(number): names for number in range(40)}
    torch.save({"state_dict": names}, path)
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_checkpoint(path)


def test_a_checkpoint_is_identified(path, weights):
    torch.save({"net": {f"module.{key}": value for key, value in weights.items()}}, path)
    found = identify(path)
    assert (found.wrapper, found.prefix, found.fits, found.nearest) == ("net", "module.", (NANO,), None)
    assert found.parameters == sum(p.numel() for p in build(NANO).parameters())
    assert found.types == ("float32",)
    changed = {key: value for key, value in weights.items() if not key.startswith("occ_head.final_conv")}
    torch.save({**changed, "extra.weight": torch.zeros(2), "img_neck.fpn_convs.0.conv.bias": torch.zeros(1)}, path)
    told = identify(path).to_dict()
    assert told["fits"] == ()
    assert told["nearest"]["name"] == NANO
    assert {kind: len(told["nearest"][kind]) for kind in ("missing", "unexpected", "misshapen")} == {
        "missing": 2,
        "unexpected": 1,
        "misshapen": 1,
    }
    json.dumps(told, allow_nan=False)
