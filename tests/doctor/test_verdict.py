"""The one plain answer: a route to OpenVINO with the lines that go it, or the first obstacle at its line."""

import numpy as np
import openvino as ov
import pytest
import torch
import torch.utils.checkpoint
from torch import nn

from occvino.doctor import DoctorError, diagnose, flatten, patch
from occvino.doctor.patch import patches_of
from occvino.doctor.refusals import refusals
from occvino.doctor.routes import Route
from tests.doctor.zoo import leaving, operators, parity, signature, solver
from tests.doctor.zoo.pair import image


def test_onnx_runtime_alone_is_no_way_to_openvino():
    """The module as it is has no route, and is not clean; the answer is what `patch` opens, and says so."""
    module, args = operators.FiveAxes(), (image(1, 3, 4, 4), image(1, 2, 4, 4, 3))
    found = diagnose(module, args, routes=(Route.DYNAMO, Route.OPENVINO), compare_modules=False)
    assert found.routes["dynamo"].endswith("on other inputs")
    assert found.routes["openvino"].startswith("fails")
    assert not found.clean
    assert found.answer.said.startswith("OpenVINO, patched, by route openvino")
    assert "occvino.doctor.patch(" in found.answer.snippet
    (finding,) = [each for each in found if each.place]
    assert "F.grid_sample" in finding.place.code


def test_a_spare_route_is_tried_where_no_other_leads_to_openvino():
    found = diagnose(parity.MaskBesideSlice(), (parity.X, parity.INDEX), compare_modules=False, routes=_ALL_BUT_DYNAMO)
    assert found.routes["openvino"].startswith("differs")
    assert found.answer.route == "legacy+openvino"
    assert Route.EXPORTED.value not in found.routes
    again = diagnose(leaving.Conv().eval(), (leaving.X,), compare_modules=False, routes=_ALL_BUT_DYNAMO)
    assert again.answer.route == "openvino"
    assert again.clean
    assert Route.VIA_LEGACY.value not in again.routes


_ALL_BUT_DYNAMO = (Route.LEGACY, Route.OPENVINO, Route.VIA_LEGACY, Route.EXPORTED)


def test_what_patch_cures_has_a_route_with_patch():
    found = diagnose(solver.Inverse(), (solver.K, solver.V), routes=(Route.VIA_LEGACY,), compare_modules=False)
    assert not found.clean
    assert found.routes["legacy+openvino"].startswith("fails")
    assert found.answer.route == "legacy+openvino"
    assert "occvino.doctor.patch(module, args, kwargs)" in found.answer.snippet


def test_the_lines_of_the_answer_make_the_model():
    module, args, kwargs = signature.Metadata().eval(), (signature.A, [{"lidar2img": signature.RIG}]), {}
    found = diagnose(module, args, kwargs, routes=(Route.OPENVINO,), compare_modules=False)
    scope = {"module": module, "args": args, "kwargs": kwargs}
    exec(found.answer.snippet, scope)
    rig = [np.diag([1.0, 2.0, 4.0]), np.eye(3) - 0.2]
    got = ov.compile_model(scope["model"], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([signature.A, *rig])[0]
    with torch.no_grad():
        expected = module(signature.A, [{"lidar2img": rig}])
        assert not torch.allclose(expected, module(*args), rtol=0.1)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_without_a_route_asked_for_there_is_no_answer():
    assert diagnose(leaving.Conv(), (leaving.X,), routes=()).answer is None


def test_openvino_names_every_operator_that_it_refused():
    said = (
        "FrontEnd API failed\nModel wasn't fully converted. Failed operations detailed log:\n"
        "-- aten::grid_sampler with a message:\nException happened during conversion\n"
        "Check 'data_shape.rank().compatible(4)' failed at src/x.hpp:22:\nWhile validating node 'x':\n"
        "The supported shape of the input data tensor is 4D.\n\n"
        "-- prim::Constant with a message:\nNone constant cannot be converted.\n"
        "Summary:\n-- No conversion rule found for operations: aten::range, aten::unique\n"
        "-- Conversion is failed for: aten::grid_sampler, prim::Constant\n"
    )
    assert [str(refusal) for refusal in refusals(said)] == [
        "aten::grid_sampler: The supported shape of the input data tensor is 4D.",
        "aten::range: no conversion rule",
        "aten::unique: no conversion rule",
    ]


class Answering(nn.Module):
    """Its attributes are looked up elsewhere, and whatever is asked for is there."""

    def __init__(self):
        super().__init__()
        self.inner = solver.Inverse()

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return lambda *args, **kwargs: name

    def forward(self, matrix, vector):
        self.seen = 1
        return self.inner(matrix, vector)


def test_a_module_that_answers_every_attribute_can_be_patched():
    module = Answering()
    patched = patch(module, (solver.K, solver.V))
    assert patches_of(patched).error < 1e-5
    assert "seen" not in vars(module)


class TwoInverses(nn.Module):
    """One recipe holds; the other cannot be proved: the length is on one side of a comparison that decides."""

    def forward(self, matrix, x):
        kept = x[x > 0]
        if len(kept) <= 8:
            return torch.inverse(matrix) + kept.sum()
        return torch.inverse(matrix) + kept.topk(8)[0].sum()


def test_a_length_that_matters_is_not_frozen_and_does_not_withhold_the_others():
    matrix, x = torch.eye(3)[None] * 2, torch.linspace(-1, 2, 40)
    patched = patch(TwoInverses(), (matrix, x))
    assert {said for _, said in patches_of(patched).steps} == {"torch.inverse in closed form"}
    assert any("len" in said or "length" in said for _, said, _ in patches_of(patched).refused)
    few = torch.cat([x[:30] - 5, x[-4:]])
    torch.testing.assert_close(patched(matrix, few), TwoInverses()(matrix, few))


def test_a_length_whose_other_side_no_call_takes_is_not_frozen():
    class Never(nn.Module):
        def forward(self, x):
            kept = x[x.abs() >= 0]
            if len(kept) == 3:
                return kept.sum()
            return kept.mean()

    with pytest.raises(DoctorError, match=r"no call takes the other side of 'len\(kept\) == 3'"):
        patch(Never(), (torch.randn(9),))


def test_a_branch_whose_other_side_is_unseen_is_a_warning():
    class Count(nn.Module):
        def forward(self, x):
            kept = x[x.abs() >= 0]
            if len(kept) == 3:
                return kept.sum()
            return kept.mean()

    found = diagnose(Count(), (torch.randn(9),), routes=(Route.OPENVINO,), compare_modules=False)
    assert not found.clean
    assert found.answer.route == "openvino"


def test_the_closed_form_is_computed_in_double():
    seen = []

    class Watched(solver.Inverse):
        def forward(self, matrix, vector):
            result = torch.inverse(matrix)
            seen.append(result.dtype)
            return result @ vector

    k = solver.K + 1e-3 * torch.randn(solver.K.shape, generator=torch.Generator().manual_seed(0))
    patched = patch(Watched(), (k, solver.V))
    assert set(seen) == {torch.float32}
    exact = (torch.linalg.inv(k.double()) @ solver.V.double()).float()
    torch.testing.assert_close(patched(k, solver.V), exact, rtol=1e-6, atol=1e-6)


def test_all_arguments_on_one_line_are_one_finding():
    class Many(nn.Module):
        def forward(self, a, batch, flag, *rest):
            return a + batch["b"] if flag else a

    found = diagnose(Many(), (torch.ones(2), {"b": torch.ones(2)}, True, None), routes=())
    assert [finding.code.split("/")[0] for finding in found] == ["signature"]


def test_checkpointing_converts_as_the_docs_print_it():
    class Checkpointed(leaving.Conv):
        def forward(self, x):
            y = self.conv(x)
            return torch.utils.checkpoint.checkpoint(torch.relu, y) if y.requires_grad else torch.relu(y)

    module = Checkpointed().eval()
    flat = flatten(module, (leaving.X,))
    with torch.enable_grad():
        model = ov.convert_model(flat, example_input=flat.example, input=flat.shapes)
    got = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([leaving.X.numpy()])[0]
    np.testing.assert_allclose(got, module(leaving.X).detach(), rtol=1e-4, atol=1e-5)


def test_a_length_that_is_a_size_is_a_note_and_stays_a_size():
    class Cameras(nn.Module):
        def forward(self, matrix):
            return torch.inverse(matrix).reshape(len(matrix), 9)

    found = diagnose(Cameras(), (torch.eye(3).expand(2, 3, 3) * 2,), routes=())
    assert [(f.code, f.severity.value) for f in found if f.code.startswith("leaving")] == [("leaving/len", "note")]
    patched = patch(Cameras(), (torch.eye(3).expand(2, 3, 3) * 2,))
    assert patched(torch.eye(3).expand(5, 3, 3) * 2).shape == (5, 9)
