"""The signature: what an exporter cannot take as an argument, and the flat wrapper that it can."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import linecache
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from occvino.doctor.calls import leaves
from occvino.doctor.case import Case
from occvino.doctor.findings import DoctorError, Finding, Fix, Severity
from occvino.doctor.flatten import flatten
from occvino.doctor.places import Place
from occvino.doctor.routes import quiet
from occvino.doctor.watch import code_of_forward

_SNIPPET = "# forward({names})\nflat = occvino.doctor.flatten(module, args, kwargs)   # and export that"


_IN_TORCH = "{} on them: the flat module has torch compute that, inverses in closed form"


def check(case: Case) -> list[Finding]:
    """Only what the example call uses is a finding: a `**kwargs` that nobody fills harms nothing."""
    signature = inspect.signature(case.module.forward)
    try:
        bound = signature.bind(*case.args, **case.kwargs)
    except TypeError:  # forward was called through a __call__ that takes something else
        return []
    findings: list[Finding] = []
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        place = _place_of_parameter(case, name)
        if kind is inspect.Parameter.VAR_KEYWORD:
            listed = ", ".join(value)
            findings.append(
                _finding("kwargs", place, f"**{name}", f"forward finds {listed} in **{name}", _inside(value))
            )
            findings += [f for key, v in value.items() if (f := _of_value(place, key, v))]
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            findings.append(
                _finding("var-args", place, f"*{name}", f"forward takes {len(value)} values as *{name}", _inside(value))
            )
        elif (finding := _of_value(place, name, value)) is not None:
            findings.append(finding)
    if not findings:
        return []
    proof = _proof(case)
    lifted = [case.flat.input_paths[at] for at in case.flat.lifted_positions]
    if lifted:
        names = ", ".join(lifted[:3]) + (f" and {len(lifted) - 3} more" if len(lifted) > 3 else "")
        said = f"the outputs depend on {names}: flatten makes inputs of what an exporter would store"
        told = [said, *([_IN_TORCH.format(", ".join(case.metadata.functions))] if case.metadata.functions else [])]
        roots = {re.split(r"[\[.]", path)[0] for path in lifted}
        findings = [
            f.with_evidence(*told) if f.subject.lstrip("*") in roots or "*" in f.subject else f for f in findings
        ]
    severity = Severity.WARNING if proof.worked else Severity.ERROR
    return [dataclasses.replace(f, fix=proof, severity=severity) for f in _by_line(findings)]


def _by_line(findings: list[Finding]) -> list[Finding]:
    """One cause, one finding: what else a line of the signature holds is evidence of its first."""
    first: dict[Place | None, Finding] = {}
    for finding in findings:
        told = first.get(finding.place)
        if told is not None:
            told = told.with_evidence(f"{finding.subject}: {finding.message}")
        first[finding.place] = told or finding
    return list(first.values())


def _of_value(place: Place | None, name: str, value: Any) -> Finding | None:
    if isinstance(value, Tensor):
        return None
    if value is None:
        return _finding("none", place, name, "None is given: exporters cannot take it as an input")
    if isinstance(value, bool | int | float | str):
        return _finding("flag", place, name, f"{name}={value!r} is no tensor: an exporter drops it or stores it")
    if isinstance(value, np.ndarray):
        return _finding("numpy", place, name, "a NumPy array is given: it would be stored as a constant")
    if isinstance(value, Mapping | list | tuple) or dataclasses.is_dataclass(value):
        said = f"a {type(value).__name__} is given: exporters take tensors, and name inputs after parameters"
        return _finding("nested", place, name, said, _inside(value))
    return _finding("object", place, name, f"a {type(value).__name__} object is given: no exporter takes it")


def _inside(value: Any) -> tuple[str, ...]:
    found = leaves(value)
    others = sorted({type(leaf).__name__ for _, leaf in found if not isinstance(leaf, Tensor)})
    tensors = sum(isinstance(leaf, Tensor) for _, leaf in found)
    return (f"holds {tensors} tensors" + (f" and {', '.join(others)}" if others else ""),)


def _finding(kind: str, place: Place | None, subject: str, message: str, evidence: tuple[str, ...] = ()) -> Finding:
    return Finding(f"signature/{kind}", Severity.ERROR, place, subject, message, evidence)


def _proof(case: Case) -> Fix:
    """`flatten` on this very call."""
    names = case.flat.input_names
    snippet = _SNIPPET.format(names=", ".join(names) if len(names) <= 6 else f"{names[0]}, ... {len(names)} tensors")
    try:
        with quiet():
            flatten(case.module, case.args, case.kwargs)
    except DoctorError as failure:
        return Fix(snippet, tried=True, worked=False, proof=str(failure))
    return Fix(snippet, tried=True, worked=True, proof=f"{len(names)} tensors in, the same outputs")


def _place_of_parameter(case: Case, name: str) -> Place | None:
    """The line of the parameter in `def forward(...)`, which may be spread over many lines."""
    code = code_of_forward(case.module)
    if code is None:
        return None
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:
        return case.forward_place()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                spec = node.args
                every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, spec.vararg, spec.kwarg]
                lines = [arg.lineno for arg in every if arg is not None and arg.arg == name]
                return Place.of(code.co_filename, lines[0] if lines else node.lineno, code.co_name)
    return case.forward_place()
