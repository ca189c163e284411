"""What an exporter or a frontend said when it gave up: which operators, and why, in its own words."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """An operator that OpenVINO's frontend did not convert.

    Args:
        operator: as `aten::grid_sampler`.
        reason: the frontend's own words; empty where it has no rule for the operator.
    """

    operator: str
    reason: str = ""

    @property
    def name(self) -> str:
        """The operator without its namespace and overload: `grid_sampler`."""
        plain = re.sub(r"-\d+$", "", self.operator)  # an operator of ONNX, with its version
        return re.split(r"::|\.", plain)[1] if re.search(r"::|\.", plain) else plain

    def __str__(self) -> str:
        return f"{self.operator}: {self.reason or 'no conversion rule'}"


_SECTION = re.compile(r"^-- (?P<operator>\S+) with a message:\n(?P<text>.*?)(?=^-- |^Summary:|\Z)", re.M | re.S)
_MISSING = re.compile(r"No conversion rule found for operations: (?P<listed>.+)")
_INTERNAL = ("prim::Constant", "SequenceMark", "prim::ListConstruct", "prim::ListUnpack")
"""Left over because what takes them was not converted: never the cause."""
_CONSUMER = re.compile(r"aten::\w+")
_NOISE = ("Check '", "Exception from ", "Exception happened", "While validating", "FrontEnd API failed")
_TELLING = ("No ONNX function", "Could not guard", "is not a registered", "No conversion rule", "not supported")
_OWN_FILE = re.compile(r"Load model from .*?model\.onnx failed:")


def refusals(text: str) -> tuple[Refusal, ...]:
    """Every operator that OpenVINO's message names, once. It goes on behind the first, so all of them are there."""
    found: dict[str, str] = {}
    shapes = re.findall(r"Check '(.+?)' failed", text)
    for section in _SECTION.finditer(text):
        operator = section["operator"]
        if operator not in _INTERNAL:
            found.setdefault(operator, _reason(section["text"]))
    for missing in _MISSING.finditer(text):
        for operator in (name.strip() for name in missing["listed"].split(",")):
            why = "its form here has no conversion" if operator in _CONSUMER.findall(_normalising(text)) else ""
            if why and len(shapes) > 1:
                why += f" ({_reason(_normalising(text))})"
            found.setdefault(operator, why)
    return tuple(Refusal(operator, reason) for operator, reason in found.items())


def summary(failure: BaseException) -> str:
    """What an error says is wrong, without advice on how to report it."""
    causes = [failure]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    root = causes[-1]
    named = refusals(str(root))
    if named:
        return f"{type(root).__name__}: {'; '.join(map(str, named))}"[:400]
    lines = [line.strip() for line in str(root).splitlines() if line.strip() and not line.startswith(_NOISE)]
    telling = [line for word in _TELLING for line in lines if word in line]
    if lines and "TorchScript interpreter" in lines[0]:  # what failed stands below the trace
        telling = telling or lines[-1:]
    text = (telling or lines or [""])[0]
    return f"{type(root).__name__}: {_OWN_FILE.sub('', text)[:240]}"


def _normalising(text: str) -> str:
    """The part on a replacement that threw."""
    return text.partition("normalize step failed with:")[2]


def _reason(text: str) -> str:
    """The last plain line: what precedes it says where in OpenVINO's source it was noticed."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("-- ", *_NOISE))]
    return lines[-1][:240] if lines else ""
