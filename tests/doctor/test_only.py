"""`--only`, `--quick`, progress and what took how long."""

import pytest
from torch import nn

from occvino.doctor import DoctorError, diagnose
from occvino.doctor.only import chosen
from occvino.doctor.routes import ALL_ROUTES, Route
from occvino.doctor.words import took
from tests.doctor.zoo import replaceable, solver
from tests.doctor.zoo.pair import image


def test_quick_stops_at_the_first_route_that_openvino_takes():
    steps = []
    findings = diagnose(nn.Conv2d(3, 4, 1).eval(), (image(1, 3, 4, 4),), quick=True, progress=steps.append)
    assert list(findings.routes) == ["openvino"]
    assert findings.routes["openvino"].endswith("on other inputs")
    assert findings.parity is None
    assert findings.clean
    assert "run" in steps
    assert "export openvino" in steps
    assert not any("dynamo" in step or "legacy" in step for step in steps)
    assert took(findings).startswith("took ")


def test_quick_goes_on_where_a_route_fails():
    findings = diagnose(replaceable.NotANumber().eval(), (replaceable.X,), quick=True)
    assert findings.routes["openvino"].startswith("fails")
    assert findings.routes["dynamo+openvino"].endswith("on other inputs")
    assert "legacy" not in findings.routes


def test_only_a_pitfall_that_needs_no_graph_exports_nothing():
    findings = diagnose(solver.Inverse().eval(), (solver.K, solver.V), only=["solver"])
    assert findings.codes() == ["solver/linalg"]
    assert not findings.routes
    assert not any(step.startswith("export") for step in findings.seconds)


def test_pitfalls_and_routes_are_told_apart():
    assert chosen((), ALL_ROUTES)[1] == ALL_ROUTES
    assert chosen(["legacy", "solver"], ALL_ROUTES) == (("solver",), (Route.LEGACY,))
    assert chosen(["frozen"], ALL_ROUTES) == (("frozen",), ALL_ROUTES)
    with pytest.raises(DoctorError, match="'onnx' is neither a pitfall"):
        chosen(["onnx"], ALL_ROUTES)
