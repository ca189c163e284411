"""The two forms that an IR is made from, run: PyTorch and ONNX Runtime; and what rounding alone does to the first."""

import copy
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from occvino.conversion.export import Deployable, expose
from occvino.conversion.lower import SMALL
from occvino.conversion.tolerances import Arrays, Error
from occvino.geometry.temporal import Temporal
from occvino.networks import FlashOcc
from occvino.networks.flashocc import tap_names


def run_torch(model: FlashOcc, inputs: Arrays, temporal: Temporal) -> Arrays:
    """Every tap, and the labels."""
    with torch.inference_mode():
        names = (*tap_names(model.variant, temporal), "labels")
        outputs = Deployable(model, temporal)(*(torch.from_numpy(np.asarray(value)) for value in inputs.values()))
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}


def run_onnx(path: Path, inputs: Arrays, taps: Sequence[str]) -> Arrays:
    """The named taps, and the labels."""
    proto = onnx.load(path)
    expose(proto, taps)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [*taps, "labels"]
    values = session.run(names, dict(inputs))
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def noise_floors(model: FlashOcc, inputs: Arrays, taps: Arrays, temporal: Temporal) -> dict[str, Error]:
    """What rounding alone does to the taps of a stereo network: the most of PyTorch with every warp moved a last place.

    The matching cost sums hundreds of differences at sampled places and goes through a softmax, and where a sample is
    exactly zero decides about more; so the last place of a coordinate matters there, as no fixed tolerance could tell.
    Of 12 million samples of M2 one or two change sides, and which ones is chance: hence several ways of moving.
    """
    moved = (run_torch(model, {**inputs, "warps": warps}, temporal) for warps in nudges(inputs["warps"]))
    return _most(_apart(each, taps) for each in moved)


def half_floors(
    model: FlashOcc, inputs: Arrays, taps: Arrays, temporal: Temporal, exact: Collection[str]
) -> dict[str, Error]:
    """What storing the weights of a stereo network in half precision does to its taps: PyTorch with such weights.

    `exact`: names, as in the IR, of those that stay fp32 whatever their size (`floats.geometry_constants`).
    """
    rounded = copy.deepcopy(model)
    for name, weight in rounded.named_parameters(prefix="model"):
        if weight.numel() > SMALL and name not in exact:  # as they are stored (see `lower.save`)
            weight.data = weight.data.half().float()
    return _apart(run_torch(rounded, inputs, temporal), taps)


def nudges(warps: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Every value moved by one last place: each up or down, all up, all down."""
    yield nudged(warps)
    yield np.nextafter(warps, warps.dtype.type(np.inf))
    yield np.nextafter(warps, warps.dtype.type(-np.inf))


def nudged(warps: NDArray[Any]) -> NDArray[Any]:
    """Every value moved by one last place, up or down."""
    towards = np.where(np.random.default_rng(0).random(warps.shape) < 0.5, -np.inf, np.inf).astype(warps.dtype)
    return np.nextafter(warps, towards)


def _apart(found: Arrays, taps: Arrays) -> dict[str, Error]:
    return {name: Error.between(found[name], taps[name]) for name in taps if name != "labels"}


def _most(measured: Iterator[dict[str, Error]]) -> dict[str, Error]:
    """The largest of each figure."""
    most = next(measured)
    for other in measured:
        most = {name: error.most(other[name]) for name, error in most.items()}
    return most
