"""The lines that head a report make the model that was tried: same shapes, same inputs, numbers among them."""

import numpy as np
import openvino as ov
import pytest
import torch
from torch import nn

from occvino.doctor import diagnose, flatten
from occvino.doctor.routes import Route

F32 = {"INFERENCE_PRECISION_HINT": "f32"}


class Tokens(nn.Module):
    """Follows any length."""

    def forward(self, x):
        return x.softmax(0) * x.shape[0]


class TwoTokens(nn.Module):
    """Holds the length of its example for ever."""

    def forward(self, x):
        return x.softmax(0) * int(x.shape[0])


def made(found, module, *args):
    scope = {"module": module, "args": args, "kwargs": {}}
    exec(found.answer.snippet, scope)
    return scope["model"]


def test_the_model_has_the_shapes_that_were_tried():
    x = torch.rand(5, 3)
    found = diagnose(Tokens(), (x,), routes=(Route.OPENVINO,), compare_modules=False)
    (port,) = made(found, Tokens(), x).inputs
    assert port.partial_shape.is_static
    assert list(port.shape) == [5, 3]


TO_OPENVINO = [route for route in Route if route.is_openvino]


@pytest.mark.parametrize("route", TO_OPENVINO, ids=lambda route: route.value)
def test_lengths_that_variations_change_stay_open(route, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, longer = torch.rand(5, 3), torch.rand(7, 3)
    found = diagnose(Tokens(), (x,), variations=[((longer,), {})], routes=(route,), compare_modules=False)
    assert found.answer.route == route.value
    model = made(found, Tokens(), x)
    assert model.inputs[0].partial_shape[0].is_dynamic
    if route is not Route.EXPORTED:  # OpenVINO opens all lengths of what torch.export gives, here as where it was tried
        assert model.inputs[0].partial_shape == ov.PartialShape([-1, 3])
    got = ov.compile_model(model, "CPU", F32)(longer.numpy())[0]
    np.testing.assert_allclose(got, Tokens()(longer), rtol=1e-5)


@pytest.mark.parametrize("route", [Route.OPENVINO, Route.VIA_LEGACY], ids=lambda route: route.value)
def test_a_graph_that_holds_the_examples_length_has_no_route_where_it_must_take_others(route):
    x, longer = torch.rand(5, 3), torch.rand(7, 3)
    found = diagnose(TwoTokens(), (x,), variations=[((longer,), {})], routes=(route,), compare_modules=False)
    assert found.routes[route.value].startswith("fits the shapes of the example only")
    assert found.answer.route == ""
    assert not found.clean


class Stamped(nn.Module):
    """As SparseBEV: numbers in the metadata, and arithmetic of NumPy on them."""

    def forward(self, x, metas):
        stamps = np.array(metas[0]["stamps"], dtype=np.float64)
        stamps = np.subtract(np.mean(stamps, axis=-1, keepdims=False), stamps)
        return x * x.new_tensor(stamps)


def test_numbers_among_the_inputs_keep_their_rank():
    x, metas = torch.rand(2, 3), [{"stamps": [1.5, 2.5, 7.0]}]
    routes = (Route.OPENVINO, Route.VIA_LEGACY)
    found = diagnose(Stamped(), (x, metas), routes=routes, compare_modules=False)
    assert found.answer.route == "openvino"
    flat = flatten(Stamped(), (x, metas))
    assert [tuple(t.shape) for t in flat.example] == [(2, 3), (), (), ()]
    other = [{"stamps": [4.5, 2.0, 7.0]}]
    compiled = ov.compile_model(made(found, Stamped(), x, metas), "CPU", F32)
    got = compiled([t.numpy() for t in flat.tensors_of((x, other), {})])[0]
    np.testing.assert_allclose(got, Stamped()(x, other), rtol=1e-5)


class Arithmetic(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, metas):
        return x * x.new_tensor(self.function(metas[0]["rig"], np.full((2, 2), 0.3)))


@pytest.mark.parametrize(
    "function",
    [
        *(np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum, np.arctan2, np.matmul),
        *(
            lambda a, b, one=one: one(a)
            for one in (np.negative, np.absolute, np.sqrt, np.square, np.exp, np.log, np.sin, np.cos, np.tan, np.floor)
        ),
        *(lambda a, b, one=one: one(a) for one in (np.arccos, np.arcsin, np.arctan, np.deg2rad, np.rad2deg)),
        *(lambda a, b, one=one: one(a) for one in (np.radians, np.degrees, np.linalg.inv)),
    ],
)
def test_what_numpy_computes_on_a_rig_converts_and_follows_it(function):
    x, rig = torch.rand(2, 2), np.array([[0.5, 0.1], [0.2, 0.7]])
    module = Arithmetic(function)
    flat = flatten(module, (x, [{"rig": rig}]))
    model = ov.convert_model(flat, example_input=flat.example, input=flat.shapes)
    turned = rig + np.array([[0.1, 0.05], [0.0, 0.2]])
    got = ov.compile_model(model, "CPU", F32)([t.numpy() for t in flat.tensors_of((x, [{"rig": turned}]), {})])[0]
    np.testing.assert_allclose(got, module(x, [{"rig": turned}]), rtol=1e-4)
