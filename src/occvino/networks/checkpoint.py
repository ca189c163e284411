"""From a published checkpoint file to a network, without running what the file says and without guessing."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from occvino.errors import CheckpointError, warn
from occvino.networks.fit import Problems, of_all_variants, problems
from occvino.networks.flashocc import FlashOcc
from occvino.networks.weights import CheckpointWarning, load_weights
from occvino.variants import get_variant

_SHOWN = 10
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_HEAD_GAIN = 30
"""Of random weights: a fifth of occvino-nano's voxels then have another label than most at their height."""


_CAMERA_VARIANCE = 1e5
_RARE = -2.19
"""Bias of a heatmap before training, as CenterPoint has it: a centre is rare."""
_ASSETS = Path(__file__).resolve().parents[1] / "assets"


def shipped_weights(name: str) -> Path | None:
    """File of the trained weights that ship with the package; only the small model of our own has some."""
    path = _ASSETS / f"{name}.safetensors"
    return path if path.is_file() else None


def build(name: str, checkpoint: str | Path | None = None, *, seed: int = 0) -> FlashOcc:
    """The PyTorch module of a variant in eval mode, with the checkpoint's weights or seeded random ones.

    Args:
        name: one of `occvino.variants()`.
        checkpoint: an mmcv `.pth` (`{"meta", "state_dict"}`, EMA files too), a bare state dict, or `.safetensors`. What
            else wraps the weights or stands before their keys is accepted with a warning, if there is one answer.
        seed: of the random weights, when there is no checkpoint.

    Raises:
        VariantError: no such variant.
        CheckpointError: the file cannot be read without running code, or does not fit; names the keys.
    """
    variant = get_variant(name)
    with torch.random.fork_rng(devices=[]):  # PyTorch draws initial weights; the caller's random numbers stay theirs
        torch.manual_seed(seed)
        model = FlashOcc(variant)
        if checkpoint is None:
            _keep_scale(model)
    if checkpoint is not None:
        weights = load_weights(checkpoint)
        expected = model.state_dict()
        wrong = problems(expected, weights)
        if wrong:
            raise CheckpointError(_misfit(variant.name, str(checkpoint), wrong, weights))
        model.load_state_dict(expected | _check_values(str(checkpoint), expected, weights))
    return model.eval().requires_grad_(False)


def _keep_scale(model: FlashOcc) -> None:
    """Noise that keeps every tensor of order one, and labels that depend on the images.

    PyTorch's own initialisation fades on the way, and so does the trunk, most of whose cells see nothing: the offsets
    of the head would decide every label, and any two networks would agree on them.
    """
    with torch.no_grad():
        for weight in (parameter for parameter in model.parameters() if parameter.ndim >= 2):
            weight.normal_(std=weight[0].numel() ** -0.5)
        model.get_parameter("occ_head.predicter.0.weight").mul_(_HEAD_GAIN)
        if model.variant.depth_net:  # focal lengths are in the thousands, and trained statistics would know
            model.get_buffer("img_view_transformer.depth_net.bn.running_var").fill_(_CAMERA_VARIANCE)
        if model.variant.panoptic:
            model.get_parameter("aux_centerness_head.task_heads.0.heatmap.1.bias").fill_(_RARE)
        # a norm that changes nothing is left out of the IR, as none of a checkpoint is
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.uniform_(0.8, 1.2)
                module.bias.uniform_(-0.2, 0.2)


def _misfit(name: str, path: str, wrong: Problems, weights: Mapping[str, Tensor]) -> str:
    lines = [f"{path} does not fit {name}:"]
    for kind, keys in wrong.items():
        lines.append(f"  {len(keys)} {kind}:")
        lines += [f"    {key}" for key in keys[:_SHOWN]]
        if len(keys) > _SHOWN:
            lines.append(f"    ... and {len(keys) - _SHOWN} more")
    each = of_all_variants(weights)
    fitting = [other for other, its in each.items() if not its]
    if fitting:
        lines.append(f"  it is a checkpoint of {' or '.join(fitting)}: build that one")
    else:
        lines.append(f"  no variant fits; the nearest is {next(iter(each))}")
    return "\n".join(lines)


def _check_values(path: str, expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in the types of the model.

    Raises:
        CheckpointError: they are no floating-point numbers, not finite, or variances below 0.
    """
    floats = {key: weights[key] for key, value in expected.items() if value.is_floating_point() and key in weights}
    other = [key for key, value in floats.items() if value.dtype not in _FLOATS or value.layout != torch.strided]
    if other:
        kinds = sorted({str(floats[key].dtype).removeprefix("torch.") for key in other})
        raise CheckpointError(
            f"{path} holds {' and '.join(kinds)} where floating-point weights belong, in {len(other)} tensors, first "
            f"{other[0]}: scales are not known here. Give the weights as they were before quantising, in float16, "
            "bfloat16 or float32"
        )
    ready = {key: value.float() for key, value in floats.items()}
    broken = [key for key, value in ready.items() if not value.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{path} holds values that are not finite in {len(broken)} tensors, first {broken[0]}: "
            "the training that wrote it had diverged, or the file is damaged"
        )
    negative = [key for key, value in ready.items() if key.endswith(".running_var") and (value < 0).any()]
    if negative:
        raise CheckpointError(
            f"{path} holds variances below 0 in {len(negative)} tensors, first {negative[0]}: the file is damaged, or "
            "what wrote it changed them"
        )
    empty = [key for key, value in ready.items() if not value.any() and (value.ndim > 1 or key.endswith("_var"))]
    if empty:
        warn(
            f"{path}: {len(empty)} weights are all zero, first {empty[0]}: was the model saved before it was trained?",
            CheckpointWarning,
        )
    return ready
