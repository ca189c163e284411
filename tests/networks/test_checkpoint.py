import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from occvino.errors import CheckpointError, VariantError
from occvino.networks import build, load_weights
from tests.golden.recipe import digest, make_weights
from tests.golden.replay import find_cases
from tests.small import known

NANO = "occvino-nano"


@pytest.fixture(scope="module")
def weights():
    return build(NANO, seed=7).state_dict()


def assert_loaded(path, weights):
    loaded = build(NANO, path).state_dict()
    assert all(torch.equal(loaded[key], weights[key]) for key in weights)


@pytest.mark.parametrize("case_name", ["flashocc-r50-M0.B_noise", "flashocc-r50-M1.B_noise"])
def test_keys_and_shapes_are_the_official_ones(golden, case_name):
    (case,) = find_cases(golden, case_name)
    official = {key: tuple(shape) for key, shape in case.shapes().items()}
    assert {key: tuple(value.shape) for key, value in build(case.variant).state_dict().items()} == official
    assert sum(p.numel() for p in build(case.variant).parameters()) == case.facts["params"]
    assert digest(make_weights(official, "B")) == case.facts["weights_sha256"]


def wrap_mmcv(weights):
    meta = {"epoch": np.float64(24), "iter": np.int64(3), "mmcv_version": "1.5.3", "CLASSES": ("car",), "time": "now"}
    return {"meta": meta, "state_dict": weights, "optimizer": {"state": {}}}


@pytest.mark.parametrize(
    "wrap",
    [
        wrap_mmcv,
        lambda weights: weights,
        lambda weights: {"epoch": 24, "state_dict": weights, "updates": 5000},
        lambda weights: {"ema_state_dict": weights},
        lambda weights: {"state_dict": {f"module.{key}": value for key, value in weights.items()}},
        lambda weights: {
            "state_dict": {**weights, **{f"ema_{key.replace('.', '_')}": value + 1 for key, value in weights.items()}}
        },
    ],
    ids=["mmcv", "bare", "megvii-ema", "ema-key", "data-parallel", "mmcv-ema-hook"],
)
def test_every_published_layout_loads(tmp_path, weights, wrap):
    torch.save(wrap(weights), tmp_path / "w.pth")
    assert_loaded(tmp_path / "w.pth", weights)


def test_old_pickle_format_and_safetensors_load(tmp_path, weights):
    torch.save(wrap_mmcv(weights), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_loaded(tmp_path / "old.pth", weights)
    save_file(weights, tmp_path / "w.safetensors")
    assert_loaded(tmp_path / "w.safetensors", weights)


class Bomb:
    """What a malicious checkpoint does when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_malicious_checkpoint_runs_nothing(tmp_path, weights):
    marker = tmp_path / "it-ran"
    torch.save({"meta": Bomb(marker), "state_dict": weights}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="was not loaded, since loading it would run code"):
        build(NANO, tmp_path / "evil.pth")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(CheckpointError, match="evil.pkl"):
        load_weights(tmp_path / "evil.pkl")
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_checkpoint_is_refused(tmp_path, weights, suffix):
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(weights, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=f"w{suffix} is (truncated|not a)"):
        build(NANO, path)


def test_a_truncated_file_of_the_old_format_is_refused(tmp_path, weights):
    torch.save(weights, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "old.pth").read_bytes()
    for length in (100, 1000, len(whole) // 2):
        (tmp_path / "old.pth").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"old\.pth is truncated or not a PyTorch checkpoint"):
            build(NANO, tmp_path / "old.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>sign in</html>", "is a web page, not a checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer"),
    ],
)
def test_a_failed_download_is_recognised(tmp_path, content, message):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        build(NANO, tmp_path / "w.pth")


def test_weights_that_are_not_finite_are_refused(tmp_path, weights):
    bias = weights["occ_head.predicter.2.bias"].clone()
    bias[3] = torch.nan
    torch.save({**weights, "occ_head.predicter.2.bias": bias}, tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match=r"not finite in 1 tensors, first occ_head\.predicter\.2\.bias"):
        build(NANO, tmp_path / "nan.pth")


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint file"):
        build(NANO, tmp_path / "nothing.pth")
    torch.save({"state_dict": {}, "meta": {}}, tmp_path / "empty.pth")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        build(NANO, tmp_path / "empty.pth")


def test_a_checkpoint_of_another_variant_names_that_variant(tmp_path):
    torch.save(build("flashocc-r50").state_dict(), tmp_path / "m1.pth")
    with pytest.raises(CheckpointError, match="it is a checkpoint of flashocc-r50: build that one") as caught:
        build("flashocc-r50-M0", tmp_path / "m1.pth")
    message = str(caught.value)
    assert "misshapen" in message
    assert "img_view_transformer.depth_net.weight [152, 256, 1, 1], expected [108, 256, 1, 1]" in message


def test_missing_and_unexpected_keys_are_listed_ten_and_counted(tmp_path, weights):
    backbone = {key: value for key, value in weights.items() if key.startswith("img_backbone")}
    torch.save({**backbone, "pts_head.weight": torch.zeros(1)}, tmp_path / "part.pth")
    with pytest.raises(CheckpointError) as caught:
        build(NANO, tmp_path / "part.pth")
    message = str(caught.value)
    missing = sum(not key.endswith("num_batches_tracked") for key in weights.keys() - backbone.keys())
    assert f"{missing} missing:" in message
    assert f"... and {missing - 10} more" in message
    assert "1 unexpected:\n    pts_head.weight" in message
    assert "no variant fits; the nearest is occvino-nano" in message


def test_an_unknown_variant_lists_those_there_are():
    with pytest.raises(VariantError, match="no variant is called 'flashocc-r101': did you mean flashocc-r50"):
        build("flashocc-r101")


def test_seeded_weights_repeat_and_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first = build(NANO, seed=1).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(1)  # another state of the global generator must not matter
    second, other = build(NANO, seed=1).state_dict(), build(NANO, seed=2).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["img_backbone.conv1.weight"], other["img_backbone.conv1.weight"])
    assert not torch.equal(first["img_neck.fpn_convs.0.conv.bias"], other["img_neck.fpn_convs.0.conv.bias"])


def test_a_layer_norm_of_random_weights_changes_something_as_a_trained_one_does():
    """One that does not is left out of the IR, of which compilers then make what they make of no checkpoint's."""
    with known():
        norms = [module for module in build("small-swin").modules() if isinstance(module, nn.LayerNorm)]
    assert norms
    assert all((norm.weight != 1).all() and (norm.bias != 0).all() for norm in norms)
