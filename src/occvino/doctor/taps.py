"""Samples of what each submodule gives, as the outputs of a module that any exporter takes."""

from __future__ import annotations

import weakref
from collections import Counter, deque
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from occvino.doctor.calls import leaves
from occvino.doctor.findings import DoctorError

OUTPUT = "(output)"
"""What the module itself gives, in the place of a submodule's path."""
_SAMPLES = 4096
"""Elements kept of each tensor, evenly spread: at least so many of what is larger, and fewer than twice that."""
_OPTIONS = ("mode", "align_corners", "antialias", "padding_mode")


def stride_of(value: Tensor) -> int:
    """Distance of the samples of a tensor of this size."""
    return max(1, value.numel() // _SAMPLES)


def step(func: Any, kwargs: dict[str, Any] | None) -> str:
    """A function of PyTorch with those of its options that runtimes read differently."""
    options = ", ".join(f"{k}={v}" for k, v in (kwargs or {}).items() if k in _OPTIONS and v is not None)
    name = getattr(func, "__name__", "")
    return f"{name}({options})" if options else name


def sampled(value: Tensor, stride: int) -> Tensor:
    """A copy, since what is computed next may overwrite the tensor; flat where elements are left out."""
    return value.clone() if stride == 1 else value.reshape(-1)[::stride].clone()


@dataclass(frozen=True)
class Tap:
    """One tensor that a submodule gives.

    Args:
        module: its path, with the place in the output where there are several: `neck.up`, `heads[1]`.
        kind: its class.
        size: bytes of the whole tensor.
        stride: of the samples.
        kept: False if it is the very tensor that the submodule before gave, as that of a Sequential is.
        steps: functions of PyTorch called since the tap before, as `interpolate(mode=bicubic, antialias=True)`.
    """

    module: str
    kind: str
    size: int
    stride: int
    kept: bool
    steps: tuple[str, ...]


class ModuleTaps(nn.Module):
    """A module that returns samples of what each of its submodules gives.

    Args:
        module: shared, not copied.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._run = _Run()
        self.train(module.training)

    @property
    def taps(self) -> list[Tap]:
        """What the outputs are, after a call in `planning`."""
        return [tap for tap in self._run.plan if tap.kept]

    def forward(self, *args: Any, **kwargs: Any) -> list[Tensor]:
        """Samples of each tensor, in the order in which the submodules finish.

        Raises:
            DoctorError: the submodules finish in another order than in the call that planned.
        """
        self._run.start()
        self.module(*args, **kwargs)
        return list(self._run.samples)

    @contextmanager
    def planning(self) -> Generator[None, None, None]:
        """Inside, a call decides what is tapped; those that follow, an exporter's included, do as it did."""
        self._run.planned = False
        with _Steps(self._run):
            yield
        self._run.planned = True

    @contextmanager
    def hooked(self) -> Generator[None, None, None]:
        """Inside, calls take samples."""
        with ExitStack() as hooks:
            for name, child in self.module.named_modules():
                handle = child.register_forward_hook(_hook(self._run, name or OUTPUT))
                hooks.callback(handle.remove)
            yield


def _hook(run: _Run, name: str) -> Any:
    def take(module: nn.Module, _: Any, output: Any) -> None:
        run.take(name, type(module).__name__, output)

    return take


class _Run:
    """The samples of one call, and the plan that every call follows."""

    def __init__(self) -> None:
        self.plan: list[Tap] = []
        self.planned = False
        self.start()

    def start(self) -> None:
        self.samples: list[Tensor] = []
        self.steps: list[str] = []
        self.calls = Counter[str]()
        self.at = 0
        # Weakly: a strong reference would keep memory alive that the module itself gives back at once.
        self.latest: deque[tuple[weakref.ref[Tensor], int]] = deque(maxlen=16)
        if not self.planned:
            self.plan = []

    def take(self, name: str, kind: str, output: Any) -> None:
        self.calls[name] += 1
        again = f" (call {self.calls[name]})" if self.calls[name] > 1 else ""
        for path, value in leaves(output):
            if isinstance(value, Tensor) and not value.is_complex():
                self._take(f"{name}{path}{again}", kind, value)

    def _take(self, name: str, kind: str, value: Tensor) -> None:
        if not self.planned:
            size, kept = value.numel() * value.element_size(), not self._seen(value)
            self.plan.append(Tap(name, kind, size, stride_of(value), kept, tuple(self.steps)))
            self.steps.clear()
            self.latest.append((weakref.ref(value), value._version))
        planned = self.plan[self.at].module if self.at < len(self.plan) else "nothing"
        if planned != name and not value.dim() and all(tap.module != name for tap in self.plan):
            return  # a Python number in the call that planned: under tracing a size is a tensor
        if planned != name:
            raise DoctorError(f"exported, the module goes another way: {name} where the example call has {planned}")
        tap = self.plan[self.at]
        self.at += 1
        if tap.kept:
            self.samples.append(sampled(value, tap.stride))

    def _seen(self, value: Tensor) -> bool:
        """The same object is not enough: an activation may have written into it since."""
        return any(reference() is value and version == value._version for reference, version in self.latest)


class _Steps(TorchFunctionMode):
    """Notes what is called, for the likely cause of a difference."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self.run = run

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.run.steps.append(step(func, kwargs))
        return func(*args, **(kwargs or {}))
