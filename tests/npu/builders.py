"""Parameters and output of models of one operator each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino as ov
from openvino import (
    opset1,
    opset3,
    opset4,
    opset8,
    opset9,
    opset11,
    opset12,
    opset13,
    opset15,
)

Builder = Callable[[], tuple[list[Any], Any]]
"""Gives the parameters of a model and its output."""


def of(shape: list[int], kind: Any = np.float32) -> Any:
    return opset13.parameter(shape, kind)


def unary(make: Callable[[Any], Any], shape: tuple[int, ...] = (1, 8, 16, 16)) -> Builder:
    def build() -> tuple[list[Any], Any]:
        x = of(list(shape))
        return [x], make(x)

    return build


def binary(make: Callable[[Any, Any], Any], kind: Any = np.float32) -> Builder:
    def build() -> tuple[list[Any], Any]:
        a, b = of([1, 8, 16, 16], kind), of([1, 8, 16, 16], kind)
        return [a, b], make(a, b)

    return build


def as_f32(make: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: opset13.convert(make(*given), "f32")


def weights(*shape: int) -> Any:
    return opset13.constant(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def whole(*values: int) -> Any:
    return opset13.constant(np.array(values, np.int64))


ONE = [1, 1], [0, 0], [0, 0], [1, 1]


def gather() -> tuple[list[Any], Any]:
    table, index = of([100, 16]), of([50], np.int32)
    return [table, index], opset8.gather(table, index, opset13.constant(np.int32(0)))


def bag(sums: Callable[..., Any]) -> Builder:
    def build() -> tuple[list[Any], Any]:
        table, index, starts, weights = of([100, 16]), of([60], np.int32), of([20], np.int32), of([60])
        return [table, index, starts, weights], sums(table, index, starts, weights)

    return build


def scatter_nd(reduction: str | None) -> Builder:
    def build() -> tuple[list[Any], Any]:
        data, index, rows = of([100, 16]), of([50, 1], np.int32), of([50, 16])
        if reduction is None:
            return [data, index, rows], opset4.scatter_nd_update(data, index, rows)
        return [data, index, rows], opset15.scatter_nd_update(data, index, rows, reduction=reduction)

    return build


def scatter_elements(reduction: str) -> Builder:
    def build() -> tuple[list[Any], Any]:
        data, index, rows = of([100, 16]), of([50, 16], np.int32), of([50, 16])
        axis = opset13.constant(np.int32(0))
        return [data, index, rows], opset12.scatter_elements_update(data, index, rows, axis, reduction)

    return build


def gather_nd() -> tuple[list[Any], Any]:
    data, index = of([100, 16]), of([50, 1], np.int32)
    return [data, index], opset8.gather_nd(data, index)


def gather_elements() -> tuple[list[Any], Any]:
    data, index = of([100, 16]), of([50, 16], np.int32)
    return [data, index], opset8.gather_elements(data, index, 0)


def grid_sample() -> tuple[list[Any], Any]:
    data, grid = of([1, 8, 16, 16]), of([1, 16, 16, 2])
    told = {"align_corners": True, "mode": "bilinear", "padding_mode": "zeros"}
    return [data, grid], opset9.grid_sample(data, grid, told)


def select() -> tuple[list[Any], Any]:
    a, b = of([1, 8, 16, 16]), of([1, 8, 16, 16])
    return [a, b], opset13.select(opset13.less(a, b), a, b)


def interpolate(mode: str, coordinates: str) -> Builder:
    def make(x: Any) -> Any:
        return opset11.interpolate(
            x, whole(32, 32), mode, "sizes", coordinate_transformation_mode=coordinates, axes=whole(2, 3)
        )

    return unary(make)


def top_k(axis: int = 1, shape: tuple[int, ...] = (1, 18, 16, 16)) -> Builder:
    def make(x: Any) -> Any:
        found = opset11.topk(x, opset13.constant(np.int64(1)), axis, "max", "index", index_element_type="i32")
        return opset13.convert(found.output(1), "u8")

    return unary(make, shape)


def rank6(where: str) -> Builder:
    def build() -> tuple[list[Any], Any]:
        two, six = [64, 64], [2, 4, 2, 4, 4, 16]
        x = of(six if where == "input" else two)
        inside = opset13.transpose(opset13.reshape(x, whole(*six), False), whole(0, 2, 1, 3, 5, 4))
        return [x], inside if where == "output" else opset13.reshape(inside, whole(*two), False)

    return build


def rank5(kind: str) -> Builder:
    def make(x: Any) -> Any:
        if kind == "convolution":
            return opset13.convolution(x, weights(8, 8, 3, 3, 3), [1] * 3, [1] * 3, [1] * 3, [1] * 3)
        return opset13.max_pool(x, [2] * 3, [1] * 3, [0] * 3, [0] * 3, [2] * 3, "floor", "explicit", "i32", 0).output(0)

    return unary(make, (1, 8, 8, 16, 16))


def non_zero() -> tuple[list[Any], Any]:
    x = of([8, 16])
    return [x], opset13.non_zero(x, "i32")


def dynamic() -> tuple[list[Any], Any]:
    x = opset13.parameter(ov.PartialShape([-1, 8, 16, 16]), np.float32)
    return [x], opset13.relu(x)


def quantised() -> tuple[list[Any], Any]:
    x = of([1, 8, 16, 16])
    low, high = opset13.constant(np.float32(-1)), opset13.constant(np.float32(1))
    return [x], opset13.convolution(opset13.fake_quantize(x, low, high, low, high, 256), weights(8, 8, 1, 1), *ONE)


def split(kind: str) -> Builder:
    def make(x: Any) -> Any:
        if kind == "split":
            return opset13.split(x, opset13.constant(np.int64(1)), 2).output(1)
        return opset13.variadic_split(x, opset13.constant(np.int64(1)), whole(3, 5)).output(1)

    return unary(make)


def sliced(x: Any) -> Any:
    return opset8.slice(x, whole(-1), whole(-(2**31)), whole(-1), whole(1))


def f32(value: Any) -> Any:
    return opset13.convert(value, "f32")


def positive(count: int) -> Any:
    return opset13.constant(np.linspace(0.5, 1.5, count, dtype=np.float32))


def whole1(value: int) -> Any:
    return opset13.constant(np.int64(value))


def deformable() -> tuple[list[Any], Any]:
    x, offsets = of([1, 8, 16, 16]), of([1, 18, 16, 16])
    return [x, offsets], opset8.deformable_convolution(x, offsets, weights(8, 8, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])


def packed() -> tuple[list[Any], Any]:
    table, index = of([100, 16]), of([20, 3], np.int32)
    return [table, index], opset3.embedding_bag_packed_sum(table, index)


def segments() -> tuple[list[Any], Any]:
    table, index, segment = of([100, 16]), of([60], np.int32), of([60], np.int32)
    count = opset13.constant(np.int32(20))
    return [table, index, segment], opset3.embedding_segments_sum(table, index, segment, count)


def nv12(make: Callable[[Any], Any]) -> Builder:
    def build() -> tuple[list[Any], Any]:
        x = of([1, 24, 16, 1], np.uint8)
        return [x], opset13.convert(make(x), "f32")

    return build


def one_hot() -> tuple[list[Any], Any]:
    x = of([8, 16], np.int32)
    on, off = opset13.constant(np.float32(1)), opset13.constant(np.float32(0))
    return [x], opset1.one_hot(x, whole1(18), on, off, -1)


def attention() -> tuple[list[Any], Any]:
    q, k, v = (of([1, 2, 16, 8]) for _ in range(3))
    return [q, k, v], opset13.scaled_dot_product_attention(q, k, v)


def scatter_update() -> tuple[list[Any], Any]:
    data, index, rows = of([100, 16]), of([50], np.int32), of([50, 16])
    return [data, index, rows], opset3.scatter_update(data, index, rows, opset13.constant(np.int32(0)))
