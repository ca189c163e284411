"""Numbers that decide: a length or an item that Python compares, and calls that take the other side of it."""

from __future__ import annotations

import ast
import linecache
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor

from occvino.doctor.places import Place
from occvino.doctor.varied import Varied
from occvino.doctor.watch import Event, Observation

KINDS = ("bool", "len", "item", "number")
_OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.Eq, ast.NotEq: ast.NotEq,
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A comparison in the source of a number that left tensor land.

    Args:
        text: as written.
        side: which way it goes for a value; None where the other operand is not a number in the source.
    """

    text: str
    side: Callable[[Any], bool] | None


@dataclass(frozen=True)
class Crossing:
    """What was found out about one decision.

    Args:
        kind: of the event, as `len`.
        place: its line.
        text: the comparison.
        known: which side a call takes can be told.
        both: the example and the changed inputs are on different sides already.
        call: a call on the other side, if one was found.
        raised: the module itself refuses the calls on the other side that were tried.
    """

    kind: str
    place: Place
    text: str
    known: bool
    both: bool
    call: Varied | None = None
    raised: bool = False

    @property
    def settled(self) -> bool:
        """Nothing is hidden: both sides were seen, or the module has no answer on the other one."""
        return self.both or self.call is not None or self.raised


class Runs(Protocol):
    """What is asked of an examination."""

    base: Observation

    @property
    def varied(self) -> Varied | None:
        """All inputs changed at once."""
        ...

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs of the example call."""
        ...

    def run_varied(
        self, inputs: tuple[Tensor, ...], changed: frozenset[int], seen: Observation | None = None
    ) -> Varied | None:
        """The module on these inputs; None when it refuses them."""
        ...


def crossings_of(case: Runs) -> tuple[Crossing, ...]:
    """One for each line where a number that is not the module's own decides."""
    groups: dict[tuple[str, Place], list[Event]] = {}
    for event in case.base.of(*KINDS):
        if not event.constant:
            groups.setdefault((event.kind, event.place), []).append(event)
    found: list[Crossing] = []
    for (kind, place), events in groups.items():
        compared = comparison(kind, place)
        if compared is not None:
            found.append(_crossing(case, kind, place, events, compared))
    return tuple(found)


def comparison(kind: str, place: Place) -> Comparison | None:
    """How the number that is read at a line decides; None when it does not."""
    if kind == "bool":
        return Comparison(place.code, bool)
    scope = _scope(place)
    if scope is None:
        return None
    names = _names_given(scope, place.line)
    for node in ast.walk(scope):
        if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
            plain = node.test.operand if isinstance(node.test, ast.UnaryOp) else node.test
            if _is_of(plain, place.line, names) and not isinstance(plain, ast.Compare | ast.BoolOp):
                return Comparison(ast.unparse(node.test), bool)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            made = _compared(node, place.line, names)
            if made is not None:
                return made
    return None


def _compared(node: ast.Compare, line: int, names: set[str]) -> Comparison | None:
    left, right, kind = node.left, node.comparators[0], type(node.ops[0])
    for one, other, op in ((left, right, kind), (right, left, _MIRRORED.get(kind))):
        if _is_of(one, line, names) and op is not None:
            limit, compare = _number(other), _OPERATORS.get(op)
            if limit is None or compare is None:
                return Comparison(ast.unparse(node), None)
            return Comparison(ast.unparse(node), lambda value, c=compare, n=limit: bool(c(value, n)))
    return None


def _is_of(node: ast.expr, line: int, names: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    return isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno)


def _names_given(scope: ast.AST, line: int) -> set[str]:
    """Names that the call on this line is stored under."""
    names: set[str] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and node.lineno <= line <= (node.end_lineno or 0):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name) and isinstance(node.value, ast.Call)}
    return names


def _number(node: ast.expr) -> float | int | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
    return value if isinstance(value, int | float) else None


@cache
def _scope(place: Place) -> ast.AST | None:
    """The innermost function around a line."""
    try:
        tree = ast.parse("".join(linecache.getlines(place.file)))
    except SyntaxError:
        return None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.lineno <= place.line <= (node.end_lineno or 0)
    ]
    return max(around, key=lambda node: node.lineno, default=None)


def _crossing(case: Runs, kind: str, place: Place, events: list[Event], compared: Comparison) -> Crossing:
    side = compared.side
    if side is None:
        return Crossing(kind, place, compared.text, known=False, both=False)
    here = [side(event.value) for event in events]
    others = _sides(case.varied.events, kind, place, side) if case.varied else here
    if len({*here, *others}) > 1:
        return Crossing(kind, place, compared.text, known=True, both=True)
    raised = False
    for inputs, changed in islice(_extremes(case.tensors), _TRIES):
        seen = Observation()
        varied = case.run_varied(inputs, changed, seen)
        if any(taken != here[0] for taken in _sides(tuple(seen.events), kind, place, side)):
            if varied is not None:
                return Crossing(kind, place, compared.text, known=True, both=False, call=varied)
            raised = True  # perhaps for another reason: an answer on the other side is looked for all the same
    return Crossing(kind, place, compared.text, known=True, both=False, raised=raised)


_TRIES = 18
"""Calls that are made to cross one comparison."""


def _sides(events: Sequence[Event], kind: str, place: Place, side: Callable[[Any], bool]) -> list[bool]:
    return [side(event.value) for event in events if (event.kind, event.place) == (kind, place)]


_STRETCHED: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: -x,
    torch.zeros_like,
    lambda x: x * 1000,
    lambda x: -x.abs() - 1,
    lambda x: x.abs() + 1000,
    lambda x: x * 1e-3,
)
"""Inputs far from the example: nothing inside the grid, no detection left, or as many as there can be."""


def _extremes(example: tuple[Tensor, ...]) -> Iterator[tuple[tuple[Tensor, ...], frozenset[int]]]:
    floats = frozenset(at for at, t in enumerate(example) if t.is_floating_point())
    alone = [frozenset({at}) for at in sorted(floats)][:6] if len(floats) > 1 else []
    for group in [floats, *alone] if floats else []:
        for stretch in _STRETCHED:
            yield tuple(stretch(t) if at in group else t for at, t in enumerate(example)), group
