"""Replay recorded cases of the official code: `python tests/golden/replay.py DIR [--case SUBSTRING]`.

For every case in DIR: weights from the recipe, inputs as recorded, the network run by PyTorch, and each recorded tensor
and the label volume compared. Exit code 0 if all cases of variants that are built agree, 1 if one does not, 2 if DIR
holds no case. Format: README.md beside the cases.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
from recipe import Weights, digest, make_weights

from occvino.cameras import Calibration
from occvino.lift import PoolingPlan, cells_of_points
from occvino.networks import FlashOcc, build
from occvino.networks.flashocc import normalise

VARIANT_OF_CASE = {"flashocc-r50-M0": "flashocc-r50-M0", "flashocc-r50-M1": "flashocc-r50"}
"""Cases are named after models; a case that is not here is of a variant that is not built yet."""

TAP_OF_RECORD = {
    "img_backbone#0.1": "backbone",
    "img_neck#0.0": "neck",
    "view_transformer#0.1": "depth",
    "view_transformer#0.0": "bev",
    "img_bev_encoder_backbone#0.in": "bev",
    "img_bev_encoder_neck#0": "trunk",
    "occ_head#0": "logits",
}
MODULE_OF_RECORD = {
    "img_backbone#0.0": ("img_backbone", 0),
    "depth_net#0": ("img_view_transformer.depth_net", None),
    "img_bev_encoder_backbone#0.0": ("img_bev_encoder_backbone", 0),
    "img_bev_encoder_backbone#0.1": ("img_bev_encoder_backbone", 1),
    "img_bev_encoder_backbone#0.2": ("img_bev_encoder_backbone", 2),
    "occ_head.final_conv#0": ("occ_head.final_conv", None),
}
"""Records that are not taps: the module that gives them, and which of its outputs."""

DEFAULT_FLOOR = {"A": 5e-3, "B": 1e-4}
"""Tolerance, relative to a record's deviation, where the case records no noise floor."""


@dataclass(frozen=True)
class Case:
    """One recorded case."""

    folder: Path
    name: str

    @property
    def model(self) -> str:
        return self.name.split(".")[0]

    @property
    def variant(self) -> str | None:
        return VARIANT_OF_CASE.get(self.model)

    @cached_property
    def facts(self) -> dict[str, Any]:
        return json.loads((self.folder / f"{self.name}.json").read_text())

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / f"{self.name}.npz") as stored:
            return {key: stored[key] for key in stored.files}

    def shapes(self) -> dict[str, list[int]]:
        """The official state dict: in the case, in its sibling, or in the file of all configurations."""
        if "state_dict" in self.facts:
            return self.facts["state_dict"]
        for sibling in self.folder.glob(f"{self.model}.*.json"):
            shapes = json.loads(sibling.read_text()).get("state_dict")
            if shapes:
                return shapes
        with gzip.open(self.folder / "all_configs_state_dict.json.gz") as stream:
            return json.load(stream)[self.facts["config"]]["state_dict"]

    def weights(self) -> Weights:
        weights = make_weights(self.shapes(), self.facts["recipe"])
        if digest(weights) != self.facts["weights_sha256"]:
            raise SystemExit(
                f"{self.name}: the recipe gives other weights than were recorded: no comparison is possible"
            )
        return weights

    def images(self) -> torch.Tensor:
        """[N, 3, H, W] as the network takes them."""
        if self.facts["images"] == "real":
            with np.load(self.folder / "real_canvas_uint8.npz") as stored:
                return normalise(torch.from_numpy(stored["canvas"]))
        _, cameras, *size = self.facts["input_shapes"][0]
        noise = np.random.default_rng(0).standard_normal((1, cameras, *size)).astype(np.float32)
        return torch.from_numpy(noise[0])

    def calibration(self) -> Calibration:
        names = ("sensor2egos", "ego2globals", "intrins", "post_rots", "post_trans", "bda")
        return Calibration(*(self.arrays[f"in/{name}"][0] for name in names))

    def tolerance(self, record: str) -> float:
        """Relative to the record's deviation: 20 times its noise floor, or 1e-4 if that is larger."""
        floors = self.facts.get("noise_floor_mkldnn_off")
        if not floors:
            return DEFAULT_FLOOR[self.facts["recipe"]]
        return max(1e-4, 20 * floors["per_tensor"][record]["rel_to_std"])


@dataclass(frozen=True)
class Row:
    """One comparison: what was compared, how far off, and how far it may be."""

    what: str
    error: float
    allowed: float

    @property
    def ok(self) -> bool:
        return self.error <= self.allowed


def replay(case: Case) -> list[Row]:
    """Run one case and compare everything it records."""
    assert case.variant is not None
    model = build(case.variant)
    model.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in case.weights().items()})
    images, calibration = case.images(), case.calibration()
    plan = PoolingPlan.from_calibration(calibration, model.variant)
    records = run_recorded(model, images, plan)
    rows = [Row("images", _sample_error(images.numpy(), case.arrays["in/imgs_s4096"], 1.0), 0.0)]
    rows.append(Row("points in another cell", float(_moved_points(case, calibration, model)), 0))
    rows += _compare_records(case, records)
    rows.append(Row("labels outside the ambiguous", float(_wrong_labels(case, records["occ_head#0"])), 0))
    return rows


def run_recorded(model: FlashOcc, images: torch.Tensor, plan: PoolingPlan) -> dict[str, NDArray[np.float32]]:
    """Every tensor that a case records, by the record's name."""
    caught: dict[str, torch.Tensor] = {}

    def catcher(record: str, index: int | None) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            # a copy: the next module may work in place
            caught[record] = (output if index is None else output[index]).clone()

        return hook

    hooks = [
        model.get_submodule(module).register_forward_hook(catcher(record, index))
        for record, (module, index) in MODULE_OF_RECORD.items()
    ]
    taps = model.taps(images, *(torch.from_numpy(array) for array in plan.inputs().values()))
    for hook in hooks:
        hook.remove()
    caught.update({record: taps[tap] for record, tap in TAP_OF_RECORD.items()})
    return {record: tensor.numpy() for record, tensor in caught.items()}


def _compare_records(case: Case, records: dict[str, NDArray[np.float32]]) -> Iterator[Row]:
    for record, facts in case.facts["intermediates"].items():
        if record not in records:
            raise SystemExit(f"{case.name} records {record}, which this replay does not know")
        value = records[record].reshape(facts["shape"])
        yield Row(record, _sample_error(value, case.arrays[f"s4096/{record}"], facts["std"]), case.tolerance(record))


def _sample_error(value: NDArray[np.float32], expected: NDArray[np.float32], scale: float) -> float:
    places = np.random.default_rng(1).integers(0, value.size, 4096)
    return float(np.abs(value.reshape(-1)[places] - expected).max() / scale)


def _moved_points(case: Case, calibration: Calibration, model: FlashOcc) -> int:
    cell = cells_of_points(calibration, model.variant)
    near = np.unpackbits(case.arrays["point_near_boundary_packbits"])[: cell.size].astype(bool)
    return int(((cell != case.arrays["point_to_voxel_key"]) & ~near).sum())


def _wrong_labels(case: Case, logits: NDArray[np.float32]) -> int:
    labels = logits.argmax(axis=-1)
    ambiguous = np.unpackbits(case.arrays["occ_ambiguous_packbits"])[: labels.size].reshape(labels.shape).astype(bool)
    return int(((labels != case.arrays["occ_argmax"]) & ~ambiguous).sum())


def find_cases(folder: Path, only: str = "") -> list[Case]:
    """All cases in a folder whose name contains `only`."""
    names = sorted(path.stem for path in folder.glob("*.npz") if path.with_suffix(".json").is_file())
    return [Case(folder, name) for name in names if only in name]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    arguments = parser.parse_args()
    console = Console(width=120)
    cases = find_cases(arguments.folder, arguments.case)
    if not cases:
        console.print(f"[red]no case[/] in {arguments.folder}")
        return 2
    failed = 0
    for case in cases:
        if case.variant is None:
            console.print(f"{case.name}: [yellow]not replayed[/], the variant {case.model} is not built yet")
            continue
        start = time.perf_counter()
        rows = replay(case)
        failed += not all(row.ok for row in rows)
        table = Table(title=f"{case.name}, {time.perf_counter() - start:.1f} s", title_justify="left")
        for column in ("record", "largest error", "allowed", ""):
            table.add_column(column)
        for row in rows:
            table.add_row(row.what, f"{row.error:.2e}", f"{row.allowed:.2e}", "ok" if row.ok else "[red]off[/]")
        console.print(table)
    replayed = sum(case.variant is not None for case in cases)
    console.print(f"{replayed - failed} passed, {failed} failed, {len(cases) - replayed} not built yet")
    return 1 if failed or not replayed else 0


if __name__ == "__main__":
    raise SystemExit(main())
