"""What an examination leaves behind, and what it does with calls that go wrong."""

import openvino as ov
import pytest
import torch
from torch import nn

from occvino.doctor import DoctorError, Severity, diagnose, watch
from occvino.doctor.routes import Attempt, Route
from tests.doctor.zoo import PAIRS, leaving, solver


def test_the_module_is_left_as_it_was():
    module = leaving.FirstCallOnly()
    module.train()
    module.conv.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    diagnose(module, (leaving.X,), routes=(Route.LEGACY,))
    assert module.first is True
    assert not hasattr(module, "plan")
    assert (module.training, module.conv.training) == (True, False)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert nn.Module.__setattr__.__module__ == "torch.nn.modules.module"


class HooksItself(leaving.Conv):
    """As transformers' output recording: hooks are installed by the first call, which a flag remembers."""

    installed = False

    def forward(self, x):
        if not self.installed:
            self.conv.register_forward_hook(lambda module, args, output: output + 1)
            self.installed = True
        return self.conv(x)


def test_hooks_that_a_call_installs_are_taken_off_with_their_flag():
    module = HooksItself()
    assert list(diagnose(module, (leaving.X,), routes=(Route.LEGACY,))) == []
    assert module.installed is False
    assert not module.conv._forward_hooks


class OtherWayWhenExported(leaving.Conv):
    """Eager looks for a short cut; an exporter gets the general way."""

    def forward(self, x, mask):
        if not torch.jit.is_tracing() and bool(mask.all()):
            return self.conv(x)
        return self.conv(x) * mask


def test_a_branch_that_every_graph_follows_is_a_note():
    mask = torch.ones(4, dtype=torch.int64)
    findings = diagnose(OtherWayWhenExported(), (leaving.X, mask), routes=(Route.LEGACY, Route.OPENVINO))
    assert [(f.code, f.severity) for f in findings] == [("leaving/bool", Severity.NOTE)]


def test_the_example_is_left_as_it_was():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.add_(1)

    x = torch.zeros(3)
    diagnose(InPlace(), (x,), routes=())
    assert torch.equal(x, torch.zeros(3))


def test_a_module_that_fails_on_its_example_could_not_be_examined():
    with pytest.raises(DoctorError, match="fails on its own example"):
        diagnose(leaving.Conv(), (torch.zeros(3),))


def test_what_is_no_module_could_not_be_examined():
    with pytest.raises(DoctorError, match="not a function"):
        diagnose(lambda x: x, (torch.zeros(3),))


def test_a_solver_that_fails_on_an_accelerator_is_caught_and_explained(monkeypatch):
    """No CUDA device here: the mode is given a solver that fails once, as cuSOLVER does where it cannot start."""
    monkeypatch.setattr(watch, "on_accelerator", lambda tensor: True)
    calls = []

    def inverse(matrix):
        calls.append(matrix)
        if len(calls) == 1:
            raise RuntimeError("cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR\nmore")
        return torch.linalg.inv_ex(matrix).inverse

    seen = watch.Observation()
    mode = watch._Functions(nn.Identity(), seen)
    result = mode.__torch_function__(inverse, (), (solver.K,))
    torch.testing.assert_close(result, torch.inverse(solver.K))
    (event,) = seen.events
    assert event.kind == "solver"
    assert event.trouble.startswith("RuntimeError: cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR (the examination")


def test_a_singular_matrix_on_the_host_is_the_modules_own_failure():
    with pytest.raises(DoctorError, match="singular"):
        diagnose(solver.Inverse(), (torch.zeros(1, 3, 3), torch.zeros(1, 3, 2)), routes=())


def test_devices_that_are_not_here_are_said_to_be_unknown_and_the_npu_is_judged_by_rules():
    class Tangent(torch.nn.Module):
        """The compiler ends without a word on two platforms."""

        def forward(self, x):
            return torch.tan(x)

    findings = diagnose(Tangent(), (leaving.X,), devices=("NPU",), routes=(Route.OPENVINO,))
    rules = [f for f in findings if f.code == "operators/device"]
    assert rules
    assert all("rule check" in f.message for f in rules)
    elsewhere = diagnose(leaving.Conv(), (leaving.X,), devices=("GPU",), routes=(Route.OPENVINO,))
    assert [(f.code, f.severity) for f in elsewhere] == [("operators/device", Severity.NOTE)]


def test_openvino_is_asked_for_single_precision(monkeypatch):
    """A CPU with bfloat16 units computes in that by default, and every graph would differ."""
    asked = []

    def compile_model(model, device, config):
        asked.append(config["INFERENCE_PRECISION_HINT"])
        return ov.Core().compile_model(model, device, config)

    monkeypatch.setattr(ov, "compile_model", compile_model)
    diagnose(leaving.Conv(), (leaving.X,), routes=(Route.OPENVINO,))
    assert asked == ["f32", "f32"]  # the graph, and the graph that compares the modules


def test_names_of_inputs_keep_their_capitals():
    class Scaled(leaving.Conv):
        def forward(self, x, K):  # noqa: N803 - a camera matrix is called K
            return self.conv(x) * K

    findings = diagnose(Scaled().eval(), (leaving.X, torch.ones(1)), routes=(Route.DYNAMO, Route.VIA_ONNX))
    assert list(findings) == [], findings.to_json()
    assert all(verdict.endswith("on other inputs") for verdict in findings.routes.values())


def test_a_graph_that_was_made_and_does_not_run_is_a_finding(monkeypatch):
    def stopped(tensors):
        raise RuntimeError("no kernel for this node")

    made = Attempt(Route.LEGACY, run=stopped)
    monkeypatch.setattr("occvino.doctor.case.attempt", lambda route, flat, axes=None, file=None: made)
    findings = diagnose(leaving.Conv().eval(), (leaving.X,), routes=(Route.LEGACY,))
    assert findings.codes() == ["operators/untranslated"]
    assert "was made and does not run: RuntimeError: no kernel for this node" in findings.routes["legacy"]


def test_a_number_that_follows_the_inputs_is_not_advised_to_be_computed_before():
    follows = diagnose(leaving.Float().eval(), (leaving.X,), routes=())[0]
    assert "0-d tensor" in follows.fix.snippet
    constant = diagnose(leaving.OwnGrid().eval(), (leaving.X,), routes=())[0]
    assert "__init__" in constant.fix.snippet


@pytest.mark.slow
def test_every_finding_has_advice():
    module, args = leaving.Conv().eval(), (leaving.X,)
    asked = diagnose(module, args, devices=("GPU",), routes=(Route.OPENVINO,))
    # where Intel's compiler is set up it is asked, and that it compiles needs no advice
    assert all(finding.fix.snippet or finding.message.startswith("it compiles") for finding in asked)
    for pair in PAIRS:
        if pair.code.startswith("parity/") or not pair.routes:
            module, args, kwargs = pair.trap()
            findings = diagnose(module, args, kwargs, routes=pair.routes, compare_modules=False)
            assert all(finding.fix.snippet for finding in findings), findings.to_json()


def test_a_note_alone_is_clean():
    findings = diagnose(leaving.Conv(), (leaving.X,), devices=("GPU",), routes=(Route.OPENVINO,))
    assert findings.clean
    assert len(findings) == 1


def test_variations_built_otherwise_are_refused():
    class Total(nn.Module):
        def forward(self, images):
            return sum(images)

    with pytest.raises(DoctorError, match="not built like the example"):
        diagnose(Total(), ([torch.ones(1)],), variations=[(([torch.ones(1)] * 2,), {})], routes=())
