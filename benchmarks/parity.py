"""PyTorch against ONNX and the IR, for each variant and precision, CPU and GPU plugin. `python -m benchmarks.parity`.

Weights are random (seed 0) and the frame is of the drive that ships inside: what is measured is the conversion. On the
GPU plugin (tests/gpu/README.md) only what is asked for with --gpu is run; M0 takes minutes there.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, save
from occvino.artifact import IR
from occvino.conversion import PRECISIONS, convert
from occvino.conversion.verify import verify
from occvino.demo import frames_and_rig
from occvino.runtime.npu_rules import check_npu_rules
from occvino.variants import variants
from tests.gpu.compare import compare


def measure(name: str, folder: Path, gpu_hints: list[str]) -> dict[str, Any]:
    """Everything about one variant."""
    row: dict[str, Any] = {"cpu": {}, "gpu": {}}
    for precision in PRECISIONS:
        artifact = convert(name, None, folder / f"{name}-{precision}", precision=precision, outputs=("logits",))
        report = verify(artifact, *frames_and_rig(artifact.path))
        row["cpu"][precision] = report.to_dict()
        print(name, precision, "CPU: labels equal", f"{report.ir_labels:.4%}", "ok" if report.ok else "OFF", flush=True)
        if precision == "fp32":
            row["npu_rules"] = check_npu_rules(artifact.path / IR).to_dict()
            for hint in gpu_hints:
                found = compare(artifact, "GPU", hint)
                print(name, found, flush=True)
                row["gpu"][hint] = asdict(found)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", help="only this one; repeatable")
    parser.add_argument("--gpu", action="append", default=[], choices=["f32", "f16"], help="hints to run; repeatable")
    options = parser.parse_args()
    stored = RESULTS / "parity.json"
    results = json.loads(stored.read_text())["results"] if stored.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.variant or variants():
            found = measure(name, Path(folder), options.gpu)
            found["gpu"] = {**results.get(name, {}).get("gpu", {}), **found["gpu"]}
            results[name] = found
    save("parity", {"results": results})


if __name__ == "__main__":
    main()
