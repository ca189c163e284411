"""One artifact on OpenVINO's GPU plugin, in a process of its own: `LAYER ARTIFACT IN.npz OUT.npz DEVICE HINT`.

Not a test: the tests start it. By hand, `python -m tests.gpu.compare ARTIFACT` is what you want.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import fakegpu


def main() -> None:
    layer, artifact, inputs, outputs, device, hint = sys.argv[1:]
    fakegpu.activate(Path(layer))
    import openvino as ov

    core = ov.Core()
    if "GPU" not in core.available_devices:
        raise SystemExit(f"the GPU plugin sees no device: {core.available_devices}")
    start = time.perf_counter()
    compiled = core.compile_model(f"{artifact}/model.xml", device, {"INFERENCE_PRECISION_HINT": hint})
    compiled_in = time.perf_counter() - start
    with np.load(inputs) as stored:
        found = compiled({name: stored[name] for name in stored.files})
    arrays = {output.get_any_name(): found[output] for output in compiled.outputs}
    ran_on = compiled.get_property("EXECUTION_DEVICES")
    seconds = np.array([compiled_in, time.perf_counter() - start - compiled_in])
    np.savez(outputs, devices=np.array(ran_on), seconds=seconds, **arrays)


if __name__ == "__main__":
    main()
