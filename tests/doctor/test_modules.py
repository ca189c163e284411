"""The comparison module by module."""

import json

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import nn

from occvino.doctor import diagnose
from occvino.doctor.findings import TOLERANCE
from occvino.doctor.modules import error
from occvino.doctor.routes import Route
from tests.doctor.zoo import parity as zoo
from tests.doctor.zoo.pair import image

BOTH = (Route.LEGACY, Route.OPENVINO)


class Pooler(nn.Module):
    """The legacy exporter loses its sum."""

    def forward(self, x, index):
        return torch.zeros(4, 5).index_put((index,), x, accumulate=True)


class Pools(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.pool, self.head = nn.Linear(3, 5), Pooler(), nn.Linear(5, 2)

    def forward(self, x, index):
        return self.head(self.pool(self.linear(x), index))


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.first = zoo.WideInteger(), nn.Linear(3, 3)

    def forward(self, x, index):
        return self.inner(self.first(x), index)


class Resized(nn.Module):
    """Half of it overwrites what the submodule before gave."""

    def __init__(self):
        super().__init__()
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.layers, self.again = layers, nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.again(self.again(self.layers(x)))
        return {"small": F.interpolate(x, scale_factor=0.5, mode="bilinear"), "label": x.argmax(1)}


@pytest.fixture(scope="module")
def pools():
    torch.manual_seed(0)
    return diagnose(Pools().eval(), (zoo.X, zoo.INDEX), routes=BOTH)


@pytest.fixture(scope="module")
def resized():
    torch.manual_seed(0)
    return diagnose(Resized().eval(), (image(2, 3, 9, 9),), routes=BOTH)


def test_the_first_module_that_differs_is_named_with_its_engine_and_a_cause(pools):
    errors = {row.module: row.errors for row in pools.parity.rows}
    assert list(errors) == ["linear", "pool", "head"]
    assert max(errors["linear"].values()) < TOLERANCE < errors["pool"]["ONNX Runtime"]
    assert pools.parity.refused == {"OpenVINO": "no route came through"}  # it does not know index_put
    assert errors["head"]["ONNX Runtime"] > TOLERANCE
    assert pools.parity.first.startswith("pool (Pooler) is the first beyond")
    assert "in ONNX Runtime; likely: repeated indices" in pools.parity.first


def test_integers_that_openvino_cuts_off_are_its_column_and_its_cause():
    torch.manual_seed(0)
    table = diagnose(Wide().eval(), (zoo.X, zoo.INDEX), routes=BOTH).parity
    inner = next(row for row in table.rows if row.module == "inner")
    assert inner.errors["ONNX Runtime"] < TOLERANCE < inner.errors["OpenVINO"]
    assert "likely: int64 values as large as" in table.first


def test_each_tensor_once_before_it_is_overwritten_and_modules_that_are_called_again(resized):
    modules = [row.module for row in resized.parity.rows]
    assert modules[:5] == ["layers.0", "layers.1", "layers.2", "again", "again (call 2)"]
    assert set(modules[5:]) == {"(output)['small']", "(output)['label']"}
    assert all(e < TOLERANCE for row in resized.parity.rows for e in row.errors.values())
    assert all(set(row.errors) == {"ONNX Runtime", "OpenVINO"} for row in resized.parity.rows)
    assert resized.parity.first == ""


class OtherWay(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain, self.traced = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.traced(x) if torch.jit.is_tracing() else self.plain(x)


def test_a_module_that_goes_another_way_when_it_is_exported_cannot_be_compared():
    findings = diagnose(OtherWay().eval(), (zoo.X,), routes=BOTH)
    assert findings.parity.rows == ()
    assert set(findings.parity.refused) == {"ONNX Runtime", "OpenVINO"}
    assert "traced where the example call has plain" in findings.parity.refused["ONNX Runtime"]
    assert findings.parity.summary == "no engine could be compared"
    assert "<th>module</th>" not in findings.to_html()  # no empty table


def test_a_size_among_the_outputs_is_no_other_way():
    """Under tracing it is a tensor, in PyTorch a number."""

    class Sized(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            return {"rows": x.shape[0], "y": self.linear(x) + 1}

    parity = diagnose(Sized().eval(), (zoo.X,), routes=BOTH).parity
    assert [row.module for row in parity.rows] == ["linear", "(output)['y']"]
    assert parity.refused == {}


def test_no_table_without_submodules_or_a_route_or_when_it_is_not_asked_for():
    assert diagnose(zoo.NarrowInteger(), (zoo.X, zoo.INDEX), routes=BOTH).parity is None
    assert diagnose(Pools(), (zoo.X, zoo.INDEX), routes=()).parity is None
    assert diagnose(Pools(), (zoo.X, zoo.INDEX), routes=BOTH[1:], compare_modules=False).parity is None


def test_hooks_are_taken_off():
    module = Pools().eval()
    diagnose(module, (zoo.X, zoo.INDEX), routes=BOTH[1:])
    assert not any(child._forward_hooks for child in module.modules())


def test_all_three_reports_hold_the_table(pools):
    rows = json.loads(pools.to_json())["parity"]["rows"]
    assert [row["module"] for row in rows] == ["linear", "pool", "head"]
    html = pools.to_html()
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(pools)
    text = console.export_text()
    for report in (html, text):
        assert "pool (Pooler) is the first beyond" in report
        assert f"{rows[1]['errors']['ONNX Runtime']:.2g}" in report


def test_the_error_is_in_deviations_of_the_tensor():
    expected = torch.tensor([99.0, 101.0])
    assert error(expected + 1, expected) == pytest.approx(1 / expected.std().item())
    assert error(torch.tensor([3.0, 2.0]), torch.tensor([2.0, 2.0])) == 0.5
    assert error(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 5])) == 0.25
    assert error(torch.zeros(2), torch.zeros(3)) == float("inf")
    assert error(torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 2.0])) == float("inf")
