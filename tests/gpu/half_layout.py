"""The GPU plugin's reference convolution is wrong in f16 for some widths: `python tests/gpu/half_layout.py` shows it.

Prints for each width the error against the CPU in fp32, in standard deviations, of three runs of one compiled model.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import fakegpu


def main() -> None:
    fakegpu.activate(fakegpu.build_layer(Path(tempfile.mkdtemp())))
    import openvino as ov
    from openvino import opset13 as ops

    rng = np.random.default_rng(0)

    def conv(x: Any, channels: int, kernel: int, stride: int) -> Any:
        shape = (channels, x.get_output_shape(0)[1], kernel, kernel)
        weights = (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        return ops.convolution(x, weights, [stride] * 2, [kernel // 2] * 2, [kernel // 2] * 2, [1, 1])

    def bottleneck(x: Any, width: int, stride: int) -> Any:
        y = ops.relu(conv(ops.relu(conv(x, width, 1, 1)), width, 3, stride))
        shortcut = x if y.get_output_shape(0)[2] == x.get_output_shape(0)[2] else conv(x, 4 * width, 1, stride)
        return ops.relu(ops.add(conv(y, 4 * width, 1, 1), shortcut))

    core = ov.Core()
    for width in (16, 32):
        parameter = ops.parameter([6, 32, 16, 32], np.float32)
        y = ops.relu(parameter)
        for wide, stride in ((width, 2), (width, 1), (width, 1), (2 * width, 2), (2 * width, 1)):
            y = bottleneck(y, wide, stride)
        model, x = ov.Model([y], [parameter]), rng.normal(size=(6, 32, 16, 32)).astype(np.float32)
        expected = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]
        compiled = core.compile_model(model, "GPU", {"INFERENCE_PRECISION_HINT": "f16"})
        errors = [float(np.abs(compiled(x)[0] - expected).max() / expected.std()) for _ in range(3)]
        print(f"{width} channels: {', '.join(f'{error:.1e}' for error in errors)}")


if __name__ == "__main__":
    main()
