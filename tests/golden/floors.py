"""Measure noise floors of recorded cases that tell none: `python tests/golden/floors.py DIR [--case SUBSTRING]`.

For each case the network is run twice, with oneDNN's convolutions and without, which is how the recorder measured the
floors that some cases do tell. The result goes to floors.json, where `replay.py` looks them up.
"""

import argparse
import json
from pathlib import Path

from replay import FLOORS, find_cases, noise_floors, prepare, run_recorded, stored_floors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    arguments = parser.parse_args()
    for case in find_cases(arguments.folder, arguments.case):
        told = case.recorded_floors()
        if set(case.facts["intermediates"]) <= set(told):
            continue
        ready = prepare(case)
        records, _ = run_recorded(ready.model, ready.images, ready.inputs)
        floors = {name: floor for name, floor in noise_floors(case, ready, records).items() if name not in told}
        worst = max(floors, key=lambda name: floors[name])
        print(f"{case.name}: {len(floors)} floors, the largest {floors[worst]:.1e} at {worst}", flush=True)
        found = stored_floors() | {case.name: {name: float(f"{floor:.3g}") for name, floor in floors.items()}}
        FLOORS.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
