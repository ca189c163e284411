"""A module's own state - buffers, attributes, hooks - put back after a run that may have written there."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from copy import copy
from typing import Any

import torch
from torch import nn

_ABSENT = object()


def _held(module: nn.Module, name: str) -> Any:
    """An attribute, without asking `__getattr__`, which in some modules answers everything."""
    held = vars(module)
    scopes = (held, *(held.get(name, {}) for name in ("_parameters", "_buffers", "_modules")))
    value = next((scope[name] for scope in scopes if name in scope), _ABSENT)
    return getattr(type(module), name, _ABSENT) if value is _ABSENT else value


@contextmanager
def state_kept(
    module: nn.Module, stored: Callable[[nn.Module, str, Any], None] = lambda owner, name, value: None
) -> Generator[None, None, None]:
    """Put buffers and attributes back as they were, whatever `forward` or an exporter that runs it wrote there.

    Lists and dictionaries count, hooks among them: a flag that says "hooks are installed" must not be put back alone.
    `stored` is told of each attribute that is set on any module.
    """
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    held = [v for child in module.modules() for v in vars(child).values() if isinstance(v, list | dict)]
    containers = [(container, copy(container)) for container in held]
    set_attribute, undo, owned = nn.Module.__setattr__, list[tuple[nn.Module, str, Any]](), set(module.modules())

    def noted(self: nn.Module, name: str, value: Any) -> None:
        if self in owned:  # an exporter builds modules of its own
            undo.append((self, name, _held(self, name)))
            stored(self, name, value)
        set_attribute(self, name, value)

    nn.Module.__setattr__ = noted
    try:
        yield
    finally:
        nn.Module.__setattr__ = set_attribute
        for owner, name, value in reversed(undo):
            if value is not _ABSENT:
                setattr(owner, name, value)
            elif _held(owner, name) is not _ABSENT:
                delattr(owner, name)
        for container, was in containers:
            container.clear()
            container.extend(was) if isinstance(container, list) else container.update(was)
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                if name in before and before[name].shape == buffer.shape:
                    buffer.copy_(before[name])
