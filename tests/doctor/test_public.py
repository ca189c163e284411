"""Small detectors after public models: from the class to an OpenVINO model that follows a rig turned by 20 degrees."""

import math

import numpy as np
import openvino as ov
import pytest
import torch

from occvino.doctor import diagnose, patch
from occvino.doctor.patch import patches_of
from occvino.doctor.routes import Route
from tests.doctor.porting import public

TURN = math.radians(20)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["petr", "fast-bev"])
def test_the_lines_of_the_answer_lead_to_a_model_that_follows_the_rig(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, args, kwargs = public.factory_of(name)
    routes = (Route.LEGACY, Route.OPENVINO, Route.VIA_LEGACY)
    found = diagnose(module, args, kwargs, routes=routes, compare_modules=False)
    scope = {"module": module, "args": args, "kwargs": kwargs}
    exec(found.answer.snippet, scope)
    flat, call = scope["flat"], public.MODELS[name][1](TURN, seed=1)
    compiled = ov.compile_model(scope["model"], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = compiled([tensor.numpy() for tensor in flat.tensors_of(call, {})])[0]
    with torch.no_grad():
        expected, before = module(*call), module(*args)
        only_images = module(call[0], *args[1:])
    largest = float(before.abs().max())
    # that the rig moved shows far above what is allowed below
    assert float((expected - only_images).abs().max()) > 50 * 1e-4 * largest
    np.testing.assert_allclose(got, expected, atol=1e-4 * float(expected.abs().max()))


def test_lift_splat_is_patched_in_every_place():
    module, args, kwargs = public.factory_of("lift-splat")
    patched = patch(module, args, kwargs)
    said = [said for _, said in patches_of(patched).steps]
    assert said.count("torch.inverse in closed form") == 2
    assert "a size made of the module's own tensors as a Python int" in said
    assert any("QuickCumsum" in one for one in said)
    call = public.lift_splat(TURN, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(patched(*call), module(*call), rtol=1e-3, atol=1e-4)
