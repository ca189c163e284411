"""First weights of a two-frame model from those of a one-frame model, so that it gives nearly the same at once.

What is new is made to change nothing (after Net2Net, Chen et al., 2016): the camera-aware depth net hands its features
through, with gates near one half for every camera; the key frame and the past one are averaged in the BEV. Layers end
in ReLU, so what may be negative is lifted before them by a shift that the next layer takes away again. In the BEV the
shift is large, so such a model is to be trained in fp32: rounded to bfloat16 it loses half its mIoU.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from occvino.networks.depth_net import CameraDepthNet
from occvino.networks.flashocc import FlashOcc, normalise
from occvino.training.examples import Example

_GATE = 0.1
"""Of the gates' random first weights: they start near one half and learn to tell cameras apart."""
_SIGMAS = 4.0


def widened(model: FlashOcc, old: FlashOcc, examples: Iterable[Example]) -> dict[str, Tensor]:
    """State dict of `model`, whose variant is that of `old` with a depth net and one past frame.

    Args:
        model: with random weights, which are overwritten, and the camera scale of its training set, which is kept.
        old: trained, in eval mode.
        examples: a few of the old variant, for the scale of its features.
    """
    necks, bevs = [], []
    with torch.inference_mode():
        for example in examples:
            taps = old.taps(normalise(example.images), *example.inputs)
            necks.append(taps["neck"])
            bevs.append(taps["bev"])
    neck, bev = torch.cat(necks).clone(), torch.cat(bevs).clone()
    with torch.no_grad():
        _copy(model, old)
        _hand_through(model, old, neck)
        _average_frames(model, old, bev)
    return model.state_dict()


def _copy(model: FlashOcc, old: FlashOcc) -> None:
    """Every weight that both have in one shape."""
    weights = old.state_dict()
    for name, value in model.state_dict().items():
        if name in weights and weights[name].shape == value.shape:
            value.copy_(weights[name])


def _hand_through(model: FlashOcc, old: FlashOcc, neck: Tensor) -> None:
    """The depth net: `neck` [B, C, fH, fW] + shift, halved by the gates, to depth and context."""
    net, before = model.img_view_transformer.depth_net, old.img_view_transformer.depth_net
    assert isinstance(net, CameraDepthNet)
    assert isinstance(before, nn.Conv2d)
    mean, deviation = neck.mean((0, 2, 3)), neck.std((0, 2, 3))
    shift = _SIGMAS * deviation - mean
    conv, norm = net.reduce_conv[0], net.reduce_conv[1]
    _identity(conv)
    _leave(norm, mean, deviation, shift)
    for gate in (net.context_se, net.depth_se):
        gate.conv_expand.weight.mul_(_GATE)
        gate.conv_expand.bias.zero_()
    halved, half_deviation = (mean + shift) / 2, deviation / 2
    *blocks, aspp, last = net.depth_conv
    for block in blocks:
        block.bn2.weight.zero_()
    _identity(aspp.aspp1.atrous_conv)
    aspp.conv1.weight.zero_()
    _identity(aspp.conv1)
    for norm in (aspp.aspp1.bn, aspp.bn1):
        _leave(norm, halved, half_deviation, torch.zeros_like(shift))
    kernel, bias, bins = before.weight, before.bias, model.variant.depth_bins
    assert bias is not None
    without_shift = bias - kernel[:, :, 0, 0] @ shift
    for layer, rows in ((last, slice(0, bins)), (net.context_conv, slice(bins, None))):
        layer.weight.copy_(2 * kernel[rows])
        layer.bias.copy_(without_shift[rows])


def _average_frames(model: FlashOcc, old: FlashOcc, bev: Tensor) -> None:
    """The BEV [B, C, Dy, Dx] of each frame + shift; the first layers of the encoder take the mean of both."""
    block = model.pre_process_net.layers[0][0]
    shift = -bev.amin((0, 2, 3))
    block.bn2.weight.zero_()
    block.downsample.weight.zero_()
    _identity(block.downsample)
    block.downsample.bias.copy_(shift)
    new, before = (network.img_bev_encoder_backbone.layers[0][0] for network in (model, old))
    for layer, trained in ((new.conv1, before.conv1), (new.downsample, before.downsample)):
        layer.weight.copy_(torch.cat([trained.weight, trained.weight], 1) / 2)
    new.bn1.running_mean.add_(before.conv1.weight.sum((2, 3)) @ shift)
    new.downsample.bias.copy_(before.downsample.bias - before.downsample.weight.sum((2, 3)) @ shift)


def _identity(conv: nn.Conv2d) -> None:
    """Output channel i becomes input channel i; inputs beyond keep the weights they have."""
    channels = conv.out_channels
    conv.weight[:, :channels].zero_()
    middle = conv.kernel_size[0] // 2
    index = torch.arange(channels)
    conv.weight[index, index, middle, middle] = 1.0
    if conv.bias is not None:
        conv.bias.zero_()


def _leave(norm: nn.BatchNorm2d, mean: Tensor, deviation: Tensor, shift: Tensor) -> None:
    """A batch norm that gives its input + shift, by the statistics of the batch as by the stored ones."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(deviation**2)
    norm.weight.copy_((deviation**2 + norm.eps).sqrt())
    norm.bias.copy_(mean + shift)
