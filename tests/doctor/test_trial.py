"""A plugin that dies while it compiles a graph is a route that fails, not the end of the report."""

import signal

import pytest
import torch
from torch import nn

from occvino.doctor import diagnose, routes, trial
from occvino.doctor.routes import Route

DYING = trial._WORKER.replace("core.compile_model(", "__import__('os').kill(__import__('os').getpid(), 11), (")


@pytest.fixture
def dying(monkeypatch):
    monkeypatch.setattr(trial, "_WORKER", DYING)
    monkeypatch.setattr(routes, "TRIAL", trial.Trial())


def test_a_graph_that_kills_the_plugin_is_a_route_that_fails(dying):
    found = diagnose(nn.Linear(3, 4), (torch.rand(2, 3),), routes=(Route.OPENVINO,), compare_modules=False)
    assert f"signal {signal.SIGSEGV.value}" in found.routes["openvino"]
    assert found.answer.route == ""
    assert not found.clean


def test_the_next_graph_has_another_process(monkeypatch):
    import openvino as ov

    good = ov.convert_model(nn.Linear(3, 4), example_input=torch.rand(2, 3))
    mine = trial.Trial()
    mine.compiles(good)
    first = mine._process
    mine.compiles(good)
    assert mine._process is first
    first.kill()
    first.wait()
    mine.compiles(good)
    assert mine._process is not first
