"""One IR on OpenVINO's GPU plugin, in a process of its own: `LAYER MODEL.xml IN.npz OUT.npz HINT`."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import fakegpu


def main() -> None:
    layer, xml, given, out, hint = sys.argv[1:]
    fakegpu.activate(Path(layer))
    import openvino as ov

    from occvino.runtime.sampling_order import in_turn

    core = ov.Core()
    compiled = core.compile_model(in_turn(core.read_model(xml)), "GPU", {"INFERENCE_PRECISION_HINT": hint})
    with np.load(given) as stored:
        found = compiled({name: stored[name] for name in stored.files})
    np.savez(out, **{f"output{index}": found[index] for index in range(len(compiled.outputs))})


if __name__ == "__main__":
    main()
