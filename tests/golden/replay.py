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
from collections.abc import Iterator, Mapping
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
import rounding
from recipe import Weights, digest, make_weights
from record import Records, caught

from occvino.geometry.calibration import Calibration
from occvino.geometry.inputs import beside_plan
from occvino.geometry.lift import PoolingPlan, cells_of_points
from occvino.networks import FlashOcc, build
from occvino.networks.flashocc import normalise
from occvino.networks.panoptic import HEADS
from occvino.networks.stereo import cost_volume
from occvino.variant import Variant
from occvino.variants import variants

MODEL_OF_CASE = {
    "flashocc-r50-M1": "flashocc-r50",
    "flashocc-stbase-4d-stereo": "flashocc-stbase-4d-stereo-512x1408",
}
"""Cases are named after models, with `pano-` for `panoptic-flashocc-`; these have names of their own."""

DEFAULT = {"A": 5e-3, "B": 1e-4}
"""Tolerance, relative to a record's deviation, where the case tells no noise floor: of the README beside the cases."""
FACTOR = 20
"""How many times its noise floor a record may be off, and the least tolerance: of the same README."""
LEAST = 1e-4
FLOORS = Path(__file__).with_name("floors.json")
"""Noise floors measured here, of cases that record none (`floors.py`)."""


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
        """The variant it is of; None if that is not built yet."""
        name = MODEL_OF_CASE.get(self.model, self.model.replace("pano-", "panoptic-flashocc-", 1))
        return name if name in variants() else None

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

    def weights(self, model: FlashOcc) -> Weights:
        """Of the recipe. Swin's index buffers follow from its structure and come from the model itself."""
        own = {k: v.numpy() for k, v in model.state_dict().items() if k.endswith("relative_position_index")}
        weights = make_weights(self.shapes(), self.facts["recipe"]) | own
        if digest(weights) != self.facts["weights_sha256"]:
            raise SystemExit(
                f"{self.name}: the recipe gives other weights than were recorded: no comparison is possible"
            )
        return weights

    @property
    def frames(self) -> int:
        return self.facts["n_frames"]

    def images(self) -> torch.Tensor:
        """[F * N, 3, H, W] as our networks take them: frame after frame, the key frame first."""
        _, cameras, *size = self.facts["input_shapes"][0]
        if self.facts["images"] == "real":
            with np.load(self.folder / "real_canvas_uint8.npz") as stored:
                crops = normalise(torch.from_numpy(stored["canvas"]))
            if (self.frames * len(crops), [*crops.shape[1:]]) != (cameras, size):
                raise SystemExit(
                    f"{self.name} was recorded with {cameras} images {size}, and the canvas gives {self.frames} frames "
                    f"of {len(crops)} images {[*crops.shape[1:]]}"
                )
            return crops.repeat(self.frames, 1, 1, 1)  # every frame has the same six
        shape = (1, cameras // self.frames, *size)
        noise = [np.random.default_rng(k).standard_normal(shape).astype(np.float32) for k in range(self.frames)]
        return torch.from_numpy(np.concatenate(noise, axis=1)[0])

    def official_images(self, images: torch.Tensor) -> NDArray[np.float32]:
        """The same as the official code takes them: camera after camera, each with all its frames."""
        return images.unflatten(0, (self.frames, -1)).transpose(0, 1).flatten(0, 1).contiguous().numpy()

    def calibration(self) -> Calibration:
        names = ("sensor2egos", "ego2globals", "intrins", "post_rots", "post_trans", "bda")
        return Calibration(*(self.arrays[f"in/{name}"][0] for name in names))

    def recorded_floors(self) -> dict[str, float]:
        """What a change of convolution back end does to a record, relative to its deviation, where the case tells."""
        floors = self.facts.get("noise_floor_mkldnn_off") or {"per_tensor": {}}
        return {record: floor["rel_to_std"] for record, floor in floors["per_tensor"].items()}

    def tolerance(self, record: str, measured: Mapping[str, float]) -> float:
        """Relative to the record's deviation. `measured` are floors that were measured here, not by the recorder."""
        recorded = self.recorded_floors()
        if record in recorded:
            return max(LEAST, FACTOR * recorded[record])
        return max(DEFAULT[self.facts["recipe"]], FACTOR * measured.get(record, 0.0))


@dataclass(frozen=True)
class Row:
    """One comparison: what was compared, how far off, and how far it may be; `measured`: by a floor measured here."""

    what: str
    error: float
    allowed: float
    measured: bool = False

    @property
    def ok(self) -> bool:
        return self.error <= self.allowed


@dataclass(frozen=True)
class Prepared:
    """The network of a case with its weights, what it takes, and how many frustum points no rounding explains."""

    model: FlashOcc
    images: torch.Tensor
    inputs: dict[str, NDArray[np.generic]]
    moved: int


def prepare(case: Case) -> Prepared:
    """Everything but the run."""
    assert case.variant is not None
    model = build(case.variant)
    model.load_state_dict({key: torch.from_numpy(np.asarray(value)) for key, value in case.weights(model).items()})
    calibration = case.calibration()
    cell, moved = recorded_geometry(case, calibration, model.variant)
    inputs = beside_plan(PoolingPlan.from_frames(cell, model.variant), calibration, model.variant)
    return Prepared(model, case.images(), inputs, moved)


def replay(case: Case) -> list[Row]:
    """Run one case and compare everything it records.

    Where a record is off by the README's default, and the case tells no floor for it, its floor is taken from `FLOORS`,
    or measured now. The README knows of no such floors: rows that are held to one say so.
    """
    ready = prepare(case)
    records, logits = run_recorded(ready.model, ready.images, ready.inputs)
    compared = list(_compare_records(case, records, {}))
    floorless = {row.what for row in compared if not row.ok} - set(case.recorded_floors())
    if floorless:
        measured = stored_floors().get(case.name) or noise_floors(case, ready, records)
        compared = list(_compare_records(case, records, {name: measured[name] for name in floorless & set(measured)}))
    official = case.official_images(ready.images)
    return [
        Row("images", _sample_error(official, case.arrays["in/imgs_s4096"], 1.0), 0.0),
        Row("points in another cell, away from borders", float(ready.moved), 0),
        *compared,
        Row("labels outside the ambiguous", float(_wrong_labels(case, logits)), 0),
    ]


def stored_floors() -> dict[str, dict[str, float]]:
    """Of `FLOORS`, by case and record."""
    return json.loads(FLOORS.read_text()) if FLOORS.is_file() else {}


def noise_floors(case: Case, ready: Prepared, records: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    """What PyTorch without oneDNN's convolutions does to each record: the largest change, relative to its deviation.

    That is how the recorder measured `noise_floor_mkldnn_off`. It is of this network on this machine, and knows nothing
    of what was recorded but the deviation. The matching cost of a stereo network samples at float32 coordinates, which
    no convolution changes: there a change of every warp by one last place counts too, if that does more.
    """
    with torch.backends.mkldnn.flags(enabled=False):
        others, _ = run_recorded(ready.model, ready.images, ready.inputs)
    floors = {name: _change(case, records, others, name) for name in case.facts["intermediates"]}
    moved = moved_costs(ready) if ready.model.variant.stereo else {}
    return floors | {name: max(floors[name], _change(case, records, moved, name)) for name in moved}


def _change(
    case: Case, ours: Mapping[str, NDArray[np.float32]], others: Mapping[str, NDArray[np.float32]], record: str
) -> float:
    return float(np.abs(ours[record] - others[record]).max() / case.facts["intermediates"][record]["std"])


def moved_costs(ready: Prepared) -> dict[str, NDArray[np.float32]]:
    """The matching costs of a stereo network, and what it makes of them, with every warp moved by one last place."""
    model, variant = ready.model, ready.model.variant
    assert variant.stereo is not None
    warps = ready.inputs["warps"]
    towards = np.where(np.random.default_rng(0).random(warps.shape) < 0.5, -np.inf, np.inf).astype(np.float32)
    net, lifted = model.img_view_transformer.depth_net.get_submodule("cost_volumn_net"), len(warps)
    with torch.inference_mode():
        features = model.img_backbone.first(ready.images)
        before, moved = features[len(features) - lifted :], torch.from_numpy(np.nextafter(warps, towards))
        cost = cost_volume(features[:lifted], before, moved, variant.depths(), unseen_cost=variant.stereo.unseen_cost)
        records = Records(model)
        records.take("cost_volumn_net", "in", cost)
        records.take("cost_volumn_net", "", net(cost))
    return {name: tensor.numpy() for name, tensor in records.found.items()}


def run_recorded(
    model: FlashOcc, images: torch.Tensor, inputs: dict[str, NDArray[np.generic]]
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """Every tensor that a case may record, by the record's name, and the logits."""
    with caught(model) as records, torch.inference_mode():
        taps = model.taps(images, *(torch.from_numpy(array) for array in inputs.values()))
        records.take("view_transformer", "0", taps["bev"])
        records.take("view_transformer", "1", taps["depth"])
        if model.variant.panoptic:
            for name, value in model.aux_centerness_head(taps["trunk"], tuple(HEADS)).items():
                records.found[f"aux.{name}"] = value
    return {name: tensor.numpy() for name, tensor in records.found.items()}, taps["logits"].numpy()


def _compare_records(
    case: Case, records: Mapping[str, NDArray[np.float32]], measured: Mapping[str, float]
) -> Iterator[Row]:
    for record, facts in case.facts["intermediates"].items():
        if record not in records:
            raise SystemExit(f"{case.name} records {record}, which this replay does not know")
        value = records[record].reshape(facts["shape"])
        if f"full/{record}" in case.arrays:
            error = np.abs(value - case.arrays[f"full/{record}"]).max() / facts["std"]
        else:  # some taps are recorded in the JSON alone, with fewer samples
            expected = case.arrays.get(f"s4096/{record}", np.array(facts["sample64"], np.float32))
            error = _sample_error(value, expected, facts["std"])
        yield Row(record, float(error), case.tolerance(record, measured), record in measured)


def _sample_error(value: NDArray[np.float32], expected: NDArray[np.float32], scale: float) -> float:
    places = np.random.default_rng(1).integers(0, value.size, len(expected))
    return float(np.abs(value.reshape(-1)[places] - expected).max() / scale)


def recorded_geometry(case: Case, calibration: Calibration, variant: Variant) -> tuple[NDArray[np.int32], int]:
    """The cells [F * P] that the case was recorded with, and how many of ours differ that no rounding explains.

    A frame whose map cannot be found by its hash is pooled by float32 positions, which are then within rounding of it.
    """
    calibration = calibration.first(len(calibration) // variant.frames * variant.lifted_frames)
    ours = np.split(cells_of_points(calibration, variant), variant.lifted_frames)
    position = rounding.positions(calibration, variant).tensor_split(variant.lifted_frames)
    hashes = {call["dense_sha256"] for call in case.facts["pooling"]}
    cells: list[NDArray[np.int32]] = []
    moved = 0
    for own, at in zip(ours, position, strict=True):
        found = rounding.recorded_cells(at, variant, hashes)
        cells.append(rounding.cells(at, variant) if found is None else found)
        moved += int(((own != cells[-1]) & ~rounding.near_border(at)).sum())
    moved += int(((cells[0] != case.arrays["point_to_voxel_key"]) & ~rounding.near_border(position[0])).sum())
    return np.concatenate(cells), moved


def _wrong_labels(case: Case, logits: NDArray[np.float32]) -> int:
    labels = logits.argmax(axis=-1)
    ambiguous = np.unpackbits(case.arrays["occ_ambiguous_packbits"])[: labels.size].reshape(labels.shape).astype(bool)
    return int(((labels != case.arrays["occ_argmax"]) & ~ambiguous).sum())


def find_cases(folder: Path, only: str = "") -> list[Case]:
    """All cases in a folder whose name contains `only`."""
    names = sorted(path.stem for path in folder.glob("*.npz") if path.with_suffix(".json").is_file())
    return [Case(folder, name) for name in names if only in name]


def add_to(path: Path, case: Case, rows: list[Row]) -> None:
    """Remember the record that came nearest to its tolerance."""
    found = json.loads(path.read_text()) if path.is_file() else {}
    worst = max(rows, key=lambda row: row.error / row.allowed if row.allowed else row.error)
    found[case.name] = {
        "variant": case.variant,
        "ok": all(row.ok for row in rows),
        "records": len(rows),
        "worst": {"what": worst.what, "error": worst.error, "allowed": worst.allowed},
        "by_measured_floors": [row.what for row in rows if row.measured],
    }
    path.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--json", type=Path, help="add what was found to this file, by case")
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
        if arguments.json:
            add_to(arguments.json, case, rows)
        table = Table(title=f"{case.name}, {time.perf_counter() - start:.1f} s", title_justify="left")
        for column in ("record", "largest error", "allowed", ""):
            table.add_column(column)
        for row in rows:
            verdict = "ok, by a floor measured here" if row.measured else "ok"
            table.add_row(row.what, f"{row.error:.2e}", f"{row.allowed:.2e}", verdict if row.ok else "[red]off[/]")
        console.print(table)
    replayed = sum(case.variant is not None for case in cases)
    console.print(f"{replayed - failed} passed, {failed} failed, {len(cases) - replayed} not built yet")
    return 1 if failed or not replayed else 0


if __name__ == "__main__":
    raise SystemExit(main())
