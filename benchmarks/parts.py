"""A small form of every variant on CPU, GPU plugin and by the NPU rules: `python -m benchmarks.parts [--variant NAME]`.

What is doubtful on a plugin is a part (Swin, 3D convolutions, stereo matching, gates, bags, state) and not its size.
So each variant is converted with all its parts and frames but few channels and pixels (`tests.small.small_form`), with
random weights, in fp32; temporal ones in all three forms, the streams over the three frames of the shipped scene.

The CPU is held against PyTorch as `verify` does it, and the GPU plugin (tests/gpu/README.md) in fp32 against the CPU by
the same tolerances: stereo by what rounding alone does. In fp16, run with --fp16 and for all frames at once only, its
error is reported and not judged. What is in results/parts.json is not run again unless it is named. All models are run
with all frames at once first, then the streams.
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, save
from benchmarks.parity import seen
from occvino.artifact import IR, Artifact
from occvino.conversion import convert
from occvino.conversion.tolerances import TOLERANCES, Error
from occvino.conversion.verify import Expected, expect, judge
from occvino.geometry.temporal import FORMS, Temporal
from occvino.runtime.npu_rules import check_npu_rules
from occvino.variants import get_variant, variants
from tests.gpu.compare import GpuPluginError, compare
from tests.small import known, small_form


def measure(name: str, temporal: Temporal, folder: Path, hints: list[str]) -> dict[str, Any]:
    """One form of a small variant, with these hints on the GPU plugin."""
    artifact = convert(name, None, folder / temporal, precision="fp32", outputs=("logits",), temporal=temporal)
    (frames, rig), *past = seen(artifact.variant.frames, front_camera=False)
    expected = expect(artifact, frames, rig, past=past)
    report = judge(artifact, expected)
    logits = next(tap.ir for tap in report.taps if tap.name == "logits")
    row: dict[str, Any] = {
        "cpu": {"ok": report.ok, "labels": report.ir_labels, "max_error": logits.maximum},
        "npu_rules": check_npu_rules(artifact.path / IR).to_dict(),
        "gpu": {hint: on_gpu(artifact, hint, expected) for hint in hints},
    }
    print(name, temporal, "CPU", report.first_divergence or "agrees", flush=True)
    return row


def on_gpu(artifact: Artifact, hint: str, expected: Expected) -> dict[str, Any]:
    """The GPU plugin against the CPU plugin; `ok` is by the tolerance of an fp32 IR, also in fp16."""
    try:
        found = compare(artifact, "GPU", hint)
    except GpuPluginError as error:
        print(error, flush=True)
        return {"ok": False, "failed": str(error)}
    print(artifact.variant.name, found, flush=True)
    tolerance = TOLERANCES["fp32"]
    if floor := expected.floors.get("fp32", {}).get("logits"):
        tolerance = tolerance.over(floor)
    error = Error(found.mean_error, found.p999_error, found.max_error)
    ok = error.within(tolerance) and found.labels >= tolerance.labels
    return {"ok": ok, "tolerance": asdict(tolerance), **asdict(found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", default=[], help="run this one again; repeatable")
    parser.add_argument("--fp16", "--f16", action="store_true", help="the GPU plugin in fp16 too")
    options = parser.parse_args()
    stored = RESULTS / "parts.json"
    results = json.loads(stored.read_text())["results"] if stored.is_file() else {}
    for form, name in product(FORMS, options.variant or variants()):
        variant, found = small_form(get_variant(name)), results.setdefault(name, {})
        if (form in found and not options.variant) or (form != "batch" and not variant.past_frames):
            continue
        with known(variant), tempfile.TemporaryDirectory() as folder:
            hints = ["fp32", "fp16"] if options.fp16 and form == "batch" else ["fp32"]
            found[form] = measure(variant.name, form, Path(folder), hints)
        save("parts", {"results": results})


if __name__ == "__main__":
    main()
