"""An artifact split over CPU and GPU plugin, in a process of its own: `LAYER ARTIFACT OUT.npz`.

Not a test: the tests start it. OpenVINO must be imported after the layer is in place (see `fakegpu`), and this package
imports OpenVINO.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import fakegpu


def main() -> None:
    layer, artifact, out = sys.argv[1:]
    fakegpu.activate(Path(layer))
    from occvino.datasets.shipped import frames_for
    from occvino.errors import DeviceError
    from occvino.runtime import Pipeline

    frames, rig = frames_for(artifact)[0]
    dark = {name: np.asarray(_open(path)) // 4 for name, path in frames.items()}
    frames = [(frames, rig), (dark, rig), ("no such folder", rig)]
    whole = Pipeline(artifact, precision="fp32")
    expected = [whole(*frame) for frame in frames[:2]]
    told = {}
    pipeline = Pipeline(artifact, stages={"encoder": "CPU", "pool": "GPU", "trunk": "GPU"}, precision="fp32")
    told["split"] = pipeline.running.to_dict()
    found = list(pipeline.stream(frames))
    told["failure"] = str(found[2])
    told["auto"] = Pipeline(artifact, "AUTO:GPU,CPU", precision="fp32").running.to_dict()
    told["throughput"] = Pipeline(artifact, "GPU", precision="fp32", hint="throughput").running.to_dict()
    refused = {"threads": {"threads": 2}, "streams": {"streams": 64}, "bf16": {"precision": "bf16"}}
    for name, options in refused.items():
        try:
            told[name] = str(Pipeline(artifact, "GPU", **options).running)
        except DeviceError as error:
            told[name] = f"refused: {error}"
    arrays = {f"expected_{i}": each.extras["logits"] for i, each in enumerate(expected)}
    arrays |= {f"found_{i}": each.extras["logits"] for i, each in enumerate(found[:2])}
    np.savez(out, told=json.dumps(told), **arrays)


def _open(path: Path):
    from PIL import Image

    return Image.open(path).convert("RGB")


if __name__ == "__main__":
    main()
