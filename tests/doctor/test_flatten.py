"""The flat wrapper: names, nesting, and its proof."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from occvino.doctor import DoctorError, flatten

Pose = namedtuple("Pose", "rotation translation")


class Nested(nn.Module):
    def forward(self, batch, *extra, flag=False, **rest):
        first, (second, pose) = batch["img"], batch["more"]
        total = first + second + pose.rotation + pose.translation + sum(extra) + rest["x-y"]
        return {"a": total, "list": [total * 2, None, "text"]} if flag else total


def call():
    t = [torch.full((2,), float(n)) for n in range(6)]
    batch = {"img": t[0], "more": [t[1], Pose(t[2], t[3])], "name": "scene"}
    return (batch, t[4]), {"flag": True, "x-y": t[5]}


def test_inputs_are_named_after_where_they_were():
    args, kwargs = call()
    flat = flatten(Nested(), args, kwargs)
    assert flat.input_names == (
        "batch_img", "batch_more_0", "batch_more_1_rotation", "batch_more_1_translation", "extra_0", "x_y",
    )  # fmt: skip
    assert flat.input_paths[3] == "batch['more'][1].translation"
    assert flat.output_paths == ("output['a']", "output['list'][0]")


def test_outputs_follow_the_flat_inputs():
    args, kwargs = call()
    flat = flatten(Nested(), args, kwargs)
    outputs = flat(*(t + 1 for t in flat.example))
    torch.testing.assert_close(outputs[0], torch.full((2,), 15.0 + 6))
    torch.testing.assert_close(outputs[1], outputs[0] * 2)


def test_names_do_not_collide():
    class Two(nn.Module):
        def forward(self, **kwargs):
            return sum(kwargs.values())

    flat = flatten(Two(), (), {"a-b": torch.ones(1), "a_b": torch.ones(1)})
    assert flat.input_names == ("a_b", "a_b_2")


def test_no_tensor_is_an_error():
    with pytest.raises(DoctorError, match="holds no tensor"):
        flatten(Nested(), (1,), {})


def test_a_random_module_is_not_proved():
    class Random(nn.Module):
        def forward(self, x):
            return x + torch.rand(2)

    with pytest.raises(DoctorError, match="random"):
        flatten(Random(), (torch.ones(2),))


def test_an_array_among_the_outputs_is_told():
    class Array(nn.Module):
        def forward(self, x):
            return x.numpy()

    with pytest.warns(UserWarning, match="NumPy array"):
        flatten(Array(), (torch.ones(2),))
