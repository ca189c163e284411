"""The script for some minutes of a GPU, on the CPU with tiny numbers."""

import time

import pytest
import torch

from benchmarks import gpu_minutes
from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.shipped import shipped_scene
from occvino.networks import build
from occvino.training.examples import samples_of
from occvino.training.loop import Training, TrainSettings
from occvino.training.losses import LossSettings, TrainError
from occvino.variants import get_variant

NANO = get_variant("occvino-nano")
SETTINGS = TrainSettings("occvino-nano", batch=1, warmup=2, losses=LossSettings(depth=0))


@pytest.mark.slow
def test_a_set_gets_a_scene_though_time_is_over_and_is_extended_later(tmp_path):
    pytest.importorskip("numba")
    assert gpu_minutes.render_set(tmp_path / "set", 1, deadline=0, frames=1) == 1
    assert gpu_minutes.render_set(tmp_path / "set", 1, deadline=0, frames=1) == 1
    assert len(NuScenes(tmp_path / "set")) == 1
    soon = time.time() + 0.2
    assert gpu_minutes.render_set(tmp_path / "set", 1, deadline=soon, frames=1) >= 2
    assert len(NuScenes(tmp_path / "set")) >= 2


def test_the_seed_of_the_held_out_scenes_is_never_rendered(tmp_path):
    with pytest.raises(SystemExit, match="seed 1001 is held out"):
        gpu_minutes.render(tmp_path, 0, 1001)


@pytest.mark.slow
def test_training_ends_with_the_time_keeps_its_weights_and_goes_on(tmp_path):
    frames = samples_of(shipped_scene(), NANO)
    first = tmp_path / "first.pth"
    torch.save(build("occvino-nano", seed=5).state_dict(), first)
    training = gpu_minutes.train(SETTINGS, frames, tmp_path / "run", 0.05, first_weights=first, probe=1)
    assert training.step < 1000
    assert training.step >= 3  # one untimed, one timed, and at least one that was planned
    kept = build("occvino-nano", tmp_path / "run" / "occvino-nano.safetensors").state_dict()
    halved = training.averaged.module.state_dict()
    name = "occ_head.predicter.0.weight"
    torch.testing.assert_close(kept[name], halved[name].half().float())
    # three steps at no more than 1e-3: still those first weights, and no longer exactly
    given = torch.load(first, weights_only=True)[name]
    assert 0 < (halved[name] - given).abs().max() < 0.05
    further = gpu_minutes.train(SETTINGS, frames, tmp_path / "run", 0.01, first_weights=first, probe=1)
    assert further.step > training.step


def test_a_device_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TrainError, match="device 'cuda:77' is not usable here"):
        Training(SETTINGS, samples_of(shipped_scene(), NANO), tmp_path, device="cuda:77")


def test_several_readers_give_the_frames_in_the_same_order(tmp_path):
    frames = samples_of(shipped_scene(), NANO)
    orders = []
    for readers in (1, 3):
        training = Training(SETTINGS, frames, tmp_path / str(readers), readers=readers)
        batches = training._batches()
        orders.append([next(batches)[0].images for _ in range(4)])
        batches.close()
    for one, other in zip(*orders, strict=True):
        assert torch.equal(one, other)
