"""Swin Transformer (Liu et al., 2021) with the key names of mmdetection's, as the backbone of the largest models."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occvino.variant import Swin

_PATCH = 4
_FAR = -100.0
"""Added to the attention between tokens that only the cyclic shift has brought together."""


class SwinBackbone(nn.Module):
    """Gives the stages of strides 4, 16 and 32. `size` is the height and width of the images, multiples of 32."""

    def __init__(self, config: Swin, size: tuple[int, int]) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(config.width)
        stages: list[Stage] = []
        for index, (blocks, heads) in enumerate(zip(config.blocks, config.heads, strict=True)):
            stride, width = _PATCH << index, config.width << index
            tokens = (size[0] // stride, size[1] // stride)
            stages.append(Stage(width, blocks, heads, config.window, tokens, merge=index < len(config.blocks) - 1))
        self.stages = nn.ModuleList(stages)
        self.out_channels = (config.width * 4, config.width * 8)
        self.norm2 = nn.LayerNorm(self.out_channels[0])
        self.norm3 = nn.LayerNorm(self.out_channels[1])

    def first(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> the first stage [N, C, H/4, W/4] before any norm, which stereo matches."""
        return self._stage(0).blocks(self.patch_embed(images)).permute(0, 3, 1, 2)

    def rest(self, stride4: Tensor) -> tuple[Tensor, Tensor]:
        """The first stage -> [N, 4C, H/16, W/16] and [N, 8C, H/32, W/32], each after its norm."""
        x = self._stage(0).downsample(stride4.permute(0, 2, 3, 1))
        x = self._stage(1).downsample(self._stage(1).blocks(x))
        stride16 = self._stage(2).blocks(x)
        stride32 = self._stage(3).blocks(self._stage(2).downsample(stride16))
        return self.norm2(stride16).permute(0, 3, 1, 2), self.norm3(stride32).permute(0, 3, 1, 2)

    def _stage(self, index: int) -> "Stage":
        stage = self.stages[index]
        assert isinstance(stage, Stage)
        return stage


class PatchEmbed(nn.Module):
    """Each 4x4 patch of the image becomes a token."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, channels, _PATCH, _PATCH)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, H/4, W/4, C]."""
        return self.norm(self.projection(images).permute(0, 2, 3, 1))


class Stage(nn.Module):
    """Blocks of one size, every other one with shifted windows, and the merging into the next stage."""

    blocks: nn.Sequential
    downsample: nn.Module

    def __init__(
        self, channels: int, blocks: int, heads: int, window: int, tokens: tuple[int, int], *, merge: bool
    ) -> None:
        super().__init__()
        shifts = (0 if index % 2 == 0 else window // 2 for index in range(blocks))
        self.blocks = nn.Sequential(*(Block(channels, heads, window, shift, tokens) for shift in shifts))
        self.downsample = PatchMerging(channels) if merge else nn.Identity()


class PatchMerging(nn.Module):
    """Four neighbouring tokens become one of twice the channels. Their channels interleave, as `nn.Unfold` has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, h, w, C] -> [N, h/2, w/2, 2C]."""
        n, height, width, channels = x.shape
        x = x.reshape(n * height // 2, 2, width // 2, 2, channels).permute(0, 2, 4, 1, 3)
        return self.reduction(self.norm(x.reshape(n, height // 2, width // 2, 4 * channels)))


class Block(nn.Module):
    """Attention within windows, then a two-layer network on each token, both with a shortcut."""

    def __init__(self, channels: int, heads: int, window: int, shift: int, tokens: tuple[int, int]) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = ShiftedWindows(channels, heads, window, shift, tokens)
        self.norm2 = nn.LayerNorm(channels)
        self.ffn = FeedForward(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[N, h, w, C] -> the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class FeedForward(nn.Module):
    """Two linear layers with a GELU between, under the names of mmcv's FFN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        first = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU())
        self.layers = nn.Sequential(first, nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> the same shape."""
        return self.layers(x)


class ShiftedWindows(nn.Module):
    """Cut the tokens into windows, shifted cyclically or not, and attend within each.

    Tokens are padded with zeros to whole windows after the norm, and the padding takes part in attention unmasked.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int, tokens: tuple[int, int]) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.padding = tuple(-size % window for size in tokens)
        self.padded = tuple(size + pad for size, pad in zip(tokens, self.padding, strict=True))
        self.w_msa = WindowAttention(channels, heads, window)
        mask = shift_mask(self.padded, window, shift) if shift else None
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, h, w, C] -> the same shape."""
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, self.padding[1], 0, self.padding[0]))
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        windows = partition(x, self.window)  # [N * windows, window**2, C]
        x = merge(self.w_msa(windows, self.mask), self.window, self.padded)
        if self.shift:
            x = x.roll((self.shift, self.shift), (1, 2))
        return x[:, :height, :width]


class WindowAttention(nn.Module):
    """Multi-head attention within a window, with a learnt bias for each relative position."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens of B windows [B, T, C], and for shifted ones [windows of an image, T, T] -> [B, T, C]."""
        batch, tokens, channels = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0] * (channels // self.heads) ** -0.5, qkv[1], qkv[2]  # [B, heads, T, C / heads]
        bias = self.relative_position_bias_table[self.relative_position_index.reshape(-1)]
        scores = query @ key.transpose(-2, -1) + bias.reshape(tokens, tokens, self.heads).permute(2, 0, 1)
        if mask is not None:
            grouped = scores.reshape(batch // len(mask), len(mask), self.heads, tokens, tokens)
            scores = (grouped + mask[:, None]).reshape(batch, self.heads, tokens, tokens)
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, tokens, channels)
        return self.proj(mixed)


def partition(x: Tensor, window: int) -> Tensor:
    """[N, h, w, C] -> windows [N * h/window * w/window, window**2, C]."""
    n, height, width, channels = x.shape
    x = x.reshape(n * height // window, window, width // window, window * channels).transpose(1, 2)
    return x.reshape(-1, window * window, channels)


def merge(windows: Tensor, window: int, size: tuple[int, ...]) -> Tensor:
    """What `partition` cut, put together again: [N, h, w, C]."""
    height, width = size
    channels = windows.shape[-1]
    x = windows.reshape(-1, width // window, window, window * channels).transpose(1, 2)
    return x.reshape(-1, height, width, channels)


def relative_positions(window: int) -> Tensor:
    """Row of the bias table for each pair of tokens [T, T]: mmdetection's order, which starts from the far corner."""
    token = torch.arange(window * window)
    place = token // window * (2 * window - 1) + token % window
    return (place[:, None] + place[None, :]).flip(1).contiguous()


def shift_mask(size: tuple[int, ...], window: int, shift: int) -> Tensor:
    """0 between tokens of one region, `_FAR` between those of different ones: [windows, T, T]."""
    row, column = (
        torch.bucketize(torch.arange(side), torch.tensor([side - window, side - shift]), right=True) for side in size
    )
    region = partition((row[:, None] * 3 + column)[None, :, :, None].float(), window)[..., 0]  # [windows, T]
    return (region[:, None, :] != region[:, :, None]) * _FAR
