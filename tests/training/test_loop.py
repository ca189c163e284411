"""A run that was stopped and goes on is the run that was not."""

import json
import os
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from occvino.datasets.nuscenes import NuScenes
from occvino.datasets.shipped import SCENE, shipped_scene
from occvino.errors import CheckpointError
from occvino.networks import build
from occvino.training.examples import load_example, random_cameras, samples_of
from occvino.training.loop import Training, TrainSettings
from occvino.training.losses import LossSettings, TrainError
from occvino.variants import get_variant
from tests.small import known, small_form

FRAMES = samples_of(shipped_scene(), get_variant("occvino-nano"))
SETTINGS = TrainSettings("occvino-nano", steps=3, batch=1, warmup=2, losses=LossSettings(depth=0))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Several threads add in any order, and AdamW makes a step of the sign of a gradient that is all rounding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    training = Training(SETTINGS, FRAMES, tmp_path_factory.mktemp("whole"))
    lines = list(training.run(report_every=1))
    return training, lines


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_had_not_been(whole, tmp_path):
    training, _ = whole
    first = Training(SETTINGS, FRAMES, tmp_path)
    lines = first.run(report_every=1, save_every=1)
    next(lines)
    next(lines)
    lines.close()
    second = Training(SETTINGS, FRAMES, tmp_path)
    assert second.step == 2
    list(second.run())
    for expected, found in zip(training.model.parameters(), second.model.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_the_log_begins_before_the_first_checkpoint_in_a_folder_that_is_made(tmp_path):
    training = Training(SETTINGS, FRAMES, tmp_path / "new" / "run")
    lines = training.run(report_every=1, save_every=3)
    assert next(lines)["step"] == 1
    lines.close()
    assert json.loads((training.out / "log.jsonl").read_text())["step"] == 1
    assert not (training.out / "last.pt").exists()


def test_the_loss_falls_and_is_finite(whole):
    _, lines = whole
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[-1]["cross_entropy"] < lines[0]["cross_entropy"]
    assert "depth" not in lines[0]


def test_the_exported_weights_fit_the_model(whole, tmp_path):
    training, _ = whole
    training.export(tmp_path / "w.safetensors")
    model = build("occvino-nano", tmp_path / "w.safetensors")
    found = model.get_parameter("img_view_transformer.depth_net.weight")
    expected = training.averaged.module.get_parameter("img_view_transformer.depth_net.weight").half().float()
    torch.testing.assert_close(found, expected)


def test_statistics_that_half_precision_cannot_hold_are_exported(tmp_path):
    variant = small_form(get_variant("panoptic-flashocc-r50-depth4d"))
    with known(variant):
        training = Training(TrainSettings(variant.name), samples_of(shipped_scene(), variant), tmp_path)
        name = "img_view_transformer.depth_net.bn.running_var"
        training.averaged.module.get_buffer(name).fill_(132_380.0)  # of the image shift, images 704 pixels wide
        training.export(tmp_path / "w.safetensors")
        found = build(variant.name, tmp_path / "w.safetensors").get_buffer(name)
    assert found.tolist() == [132_380.0] * 27


def test_another_run_in_the_same_folder_is_refused(whole):
    training, _ = whole
    other = TrainSettings("occvino-nano", steps=9, batch=2, warmup=2, losses=LossSettings(depth=0))
    with pytest.raises(CheckpointError, match="batch 1 there, 2 asked"):
        Training(other, FRAMES, training.out)


def test_a_run_goes_on_with_its_own_data_alone(tmp_path):
    root = shutil.copytree(SCENE, tmp_path / "scene")
    variant = get_variant("occvino-nano")

    def begin():
        return Training(SETTINGS, samples_of(NuScenes(root), variant), tmp_path / "run")

    begin().save()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        begin()
    with pytest.raises(CheckpointError, match=r"has learnt from 3 frames whose .* not those of the 2 frames given now"):
        Training(SETTINGS, samples_of(NuScenes(root), variant)[:2], tmp_path / "run")
    image = NuScenes(root)[0].images[0]
    os.utime(image, ns=(0, 0))
    with pytest.warns(UserWarning, match=r"other times than when .*last\.pt was begun, and the same sizes"):
        begin()
    image.write_bytes(image.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match="give the same data, or another folder"):
        begin()
    content = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    del content["data"]
    torch.save(content, tmp_path / "run" / "last.pt")
    with pytest.warns(UserWarning, match="does not say what data it learns from"):
        begin()


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"last\.pt cannot be read"):
        Training(SETTINGS, FRAMES, tmp_path)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": 0}, {"learning_rate": 2.0}])
def test_settings_that_cannot_train_are_refused(wrong):
    with pytest.raises(TrainError, match=next(iter(wrong))):
        TrainSettings("occvino-nano", **wrong)


def test_the_rate_rises_then_falls_to_zero(whole):
    training, _ = whole
    rates = [training.rate(step) for step in range(4)]
    assert rates[0] < rates[1] == SETTINGS.learning_rate
    assert rates[3] == pytest.approx(0.0, abs=1e-9)


def test_no_frames_is_an_error(tmp_path):
    with pytest.raises(TrainError, match="no frame"):
        Training(SETTINGS, [], tmp_path)


def test_a_model_that_finds_instances_is_refused(tmp_path):
    with pytest.raises(TrainError, match="has a head for instances, for which there is no loss here"):
        Training(TrainSettings("panoptic-flashocc-r50-depth"), FRAMES, tmp_path)


def test_a_model_of_two_frames_learns_from_first_weights_and_frozen_parts_do_not(tmp_path):
    nano = get_variant("occvino-nano")
    grids = {"lift_grid": nano.lift_grid, "occupancy_grid": nano.occupancy_grid}
    variant = replace(small_form(get_variant("panoptic-flashocc-r50-depth4d")), **grids)
    with known(variant):
        settings = TrainSettings(
            variant.name, steps=1, batch=1, warmup=0, losses=LossSettings(depth=0), frozen=("img_backbone",)
        )
        training = Training(settings, samples_of(shipped_scene(), variant), tmp_path)
        first = {name: value.clone() for name, value in build(variant.name, seed=5).state_dict().items()}
        training.begin_with(first)
        (line,) = training.run()
    assert np.isfinite(line["cross_entropy"])
    found = training.model.state_dict()
    changed = {name for name, value in found.items() if not torch.equal(value, first[name])}
    assert changed
    assert not any(name.startswith("img_backbone") for name in changed)
    for part in ("img_view_transformer.depth_net.depth_mlp", "pre_process_net", "occ_head"):
        assert any(name.startswith(part) for name in changed), part
    with pytest.raises(TrainError, match="is at step 1: first weights are for a run that has not begun"):
        training.begin_with(first)


def test_after_many_steps_no_camera_is_far_from_those_of_the_training(tmp_path):
    variant = small_form(get_variant("panoptic-flashocc-r50-depth4d"))
    frames, rng = samples_of(shipped_scene(), variant), np.random.default_rng(0)
    with known(variant):
        training = Training(TrainSettings(variant.name), frames, tmp_path)
    norm = training.model.get_submodule("img_view_transformer.depth_net.bn")
    spread = []
    for step in range(200):  # what 200 steps do to this part
        spread.append(norm(torch.from_numpy(random_cameras(frames[step % len(frames)], variant, rng))))
    without_changes = [load_example(each, variant, None, depth_from=None).inputs[3] for each in frames]
    assert norm.eval()(torch.cat(without_changes)).abs().max() < 10
    differing = torch.cat(spread).var(0) > 0.5
    bev = slice(10, 15)  # mirrored or not, along x and y: the others are 0 and 1 for all
    assert differing[bev].tolist() == [True, False, False, True, False]


def test_frames_of_a_step_computed_at_once_give_the_gradient_of_one_after_another(tmp_path):
    """One step with no warm-up, from the same weights: nothing in it is random but which voxels are drawn."""
    settings = TrainSettings(
        "occvino-nano", steps=1, batch=2, warmup=0, losses=LossSettings(depth=0, share_free=1.0, share_unseen=1.0)
    )
    gradients = []
    for at_once in (1, 2):
        training = Training(settings, FRAMES, tmp_path / str(at_once), at_once=at_once)
        list(training.run())
        gradients.append([parameter.grad for parameter in training.model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("wrong", [0, 2])
def test_no_frame_at_once_or_more_than_a_step_has_is_refused(wrong, tmp_path):
    with pytest.raises(TrainError, match=f"at_once is {wrong}: at least 1, and at most the 1 frames of a step"):
        Training(SETTINGS, FRAMES, tmp_path, at_once=wrong)


def test_depth_is_learnt_from_labels_where_there_is_no_lidar(tmp_path):
    settings = TrainSettings("occvino-nano", steps=1, batch=1, warmup=0, losses=LossSettings(depth_from="labels"))
    (line,) = Training(settings, FRAMES[:1], tmp_path).run()
    assert 0 < line["depth"] < 10


def test_a_run_that_is_older_than_a_term_of_the_loss_goes_on(tmp_path):
    settings = replace(SETTINGS, steps=1)
    list(Training(settings, FRAMES, tmp_path).run())
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    del content["settings"]["losses"]["depth_from"]
    torch.save(content, tmp_path / "last.pt")
    assert Training(settings, FRAMES, tmp_path).step == 1
