"""A stand-in for the compiled package of this name: the same functions, arguments and results, one point at a time.

As in the original, sums are made of PyTorch's operators and read the size of their result from the indices where
`dim_size` is not given; maxima and segments are operators of the package's own.
"""

from itertools import pairwise

import torch


def _broadcast(index, src, dim):
    dim %= src.dim()
    if index.dim() == 1:
        index = index.view([1] * dim + [-1])
    return index.view([*index.shape, *[1] * (src.dim() - index.dim())]).expand(src.shape)


def scatter_sum(src, index, dim=-1, out=None, dim_size=None):
    index = _broadcast(index, src, dim)
    if out is None:
        size = list(src.shape)
        size[dim] = int(index.max()) + 1 if dim_size is None else dim_size
        out = src.new_zeros(size)
    return out.scatter_add_(dim, index, src)


def scatter_mean(src, index, dim=-1, out=None, dim_size=None):
    out = scatter_sum(src, index, dim, out, dim_size)
    count = scatter_sum(torch.ones_like(src), index, dim, None, out.shape[dim])
    return out / count.clamp(min=1)


def scatter_max(src, index, dim=-1, out=None, dim_size=None):
    assert out is None
    size = int(index.max()) + 1 if dim_size is None else dim_size
    return torch.ops.torch_scatter.scatter_max(src, index, dim % src.dim(), size)


def scatter(src, index, dim=-1, out=None, dim_size=None, reduce="sum"):
    if reduce == "max":
        return scatter_max(src, index, dim, out, dim_size)[0]
    return {"sum": scatter_sum, "mean": scatter_mean}[reduce](src, index, dim, out, dim_size)


def segment_csr(src, indptr, out=None, reduce="sum"):
    assert out is None
    assert reduce == "sum"
    return torch.ops.torch_scatter.segment_sum_csr(src, indptr)


@torch.library.custom_op("torch_scatter::scatter_max", mutates_args=())
def _scatter_max(src: torch.Tensor, index: torch.Tensor, dim: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    source, where = src.movedim(dim, 0), _broadcast(index, src, dim).movedim(dim, 0)
    shape = (size, *source.shape[1:])
    best, at = torch.full(shape, -torch.inf), torch.full(shape, len(source))
    for place in torch.cartesian_prod(*(torch.arange(n) for n in source.shape)).view(-1, source.dim()).tolist():
        point, rest = place[0], tuple(place[1:])
        cell = (int(where[tuple(place)]), *rest)
        if source[tuple(place)] > best[cell]:
            best[cell], at[cell] = source[tuple(place)], point
    best[at == len(source)] = 0
    return best.movedim(0, dim).contiguous(), at.movedim(0, dim).contiguous()


@torch.library.custom_op("torch_scatter::segment_sum_csr", mutates_args=())
def _segment_sum_csr(src: torch.Tensor, indptr: torch.Tensor) -> torch.Tensor:
    bounds = indptr.tolist()
    return torch.stack([src[start:end].sum(0) for start, end in pairwise(bounds)])
