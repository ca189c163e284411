"""Time and memory of the doctor on a network of M0's size, against running the network once.

python benchmarks/doctor_m0.py run       # peak memory of building and running the network, no doctor
python benchmarks/doctor_m0.py doctor    # the same and the doctor
"""

import json
import resource
import sys
import time

import torch

import occvino.networks
from occvino.doctor import diagnose
from occvino.geometry.lift import PoolingPlan
from occvino.variants import get_variant


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(what: str) -> None:
    torch.manual_seed(0)
    variant = get_variant("flashocc-r50-M0")
    model = occvino.networks.FlashOcc(variant).eval()
    cells = torch.randint(-1, variant.lift_grid.cells, (6 * variant.depth_bins * 16 * 44,), dtype=torch.int32)
    plan = PoolingPlan.from_cells(cells.numpy(), variant.lift_grid.cells, depth_bins=variant.depth_bins, pixels=16 * 44)
    args = (torch.randn(6, 3, *variant.input_size), *(torch.from_numpy(a) for a in plan.inputs().values()))
    start = time.perf_counter()
    with torch.no_grad():
        model(*args)
    print(f"forward {time.perf_counter() - start:.1f} s, peak {peak_mib():.0f} MiB", flush=True)
    if what == "doctor":
        start = time.perf_counter()
        findings = diagnose(model, args)
        total = time.perf_counter() - start
        exports = sum(s for step, s in findings.seconds.items() if step.startswith("export"))
        print(f"doctor {total:.1f} s, exports {exports:.1f} s, rest {total - exports:.1f} s, peak {peak_mib():.0f} MiB")
        print(json.dumps(findings.to_dict(), indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
