"""One artifact on OpenVINO's GPU plugin, in a process of its own: `LAYER ARTIFACT OUT.npz DEVICE HINT`.

Not a test: the tests start it. By hand, `python -m tests.gpu.compare ARTIFACT` is what you want.
"""

import sys
from pathlib import Path

import numpy as np

import occvino  # noqa: F401  before OpenVINO, which reports its import

sys.path.insert(0, str(Path(__file__).parent))
import fakegpu


def main() -> None:
    layer, artifact, out, device, hint = sys.argv[1:]
    fakegpu.activate(Path(layer))
    import openvino as ov

    if "GPU" not in (devices := ov.Core().available_devices):
        raise SystemExit(f"the GPU plugin sees no device: {devices}")
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.gpu.frames import run

    np.savez(out, **run(artifact, device, hint))


if __name__ == "__main__":
    main()
