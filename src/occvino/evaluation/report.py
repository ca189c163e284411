"""A report of a run as one folder of HTML and pictures: `occvino eval --report DIR`.

DIR/index.html       figures; no script, nothing from elsewhere
DIR/frame-01.png     the worst frame: images, truth and labels; and so on
DIR/frame-01.html    the same in 3D
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from occvino import __version__
from occvino.datasets.nuscenes import NuScenes
from occvino.evaluation.breakdown import Breakdown, FrameScore
from occvino.evaluation.predictions import LabelsOf
from occvino.evaluation.score import Score
from occvino.files import write_text
from occvino.images.open import opened
from occvino.variant import OCC3D_CLASSES
from occvino.variants import get_variant
from occvino.viz import compose, save_picture
from occvino.viz.frame import ViewFrame
from occvino.viz.html import write_html
from occvino.viz.palette import COLOURS

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #5c6370; --bar: #8882; --card: #8881; --accent: #2f6feb; }
@media (prefers-color-scheme: dark) { :root { --dim: #a2a9b6; --accent: #6ea8ff; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .7rem; }
.sum { color: var(--dim); margin: .2rem 0 1.2rem; overflow-wrap: anywhere; }
.figures { display: flex; flex-wrap: wrap; gap: .8rem; }
.figures div { background: var(--card); border-radius: 8px; padding: .6rem 1rem; min-width: 7rem; }
.figures b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.figures span { color: var(--dim); font-size: 13px; }
table { border-collapse: collapse; width: 100%; } .scroll { overflow-x: auto; }
td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); font-size: 14px; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { background: var(--bar); border-radius: 3px; min-width: 12rem; }
.bar i { display: block; height: .62rem; border-radius: 3px; margin: 2px 0; }
.swatch { display: inline-block; width: .7rem; height: .7rem; border-radius: 2px; margin-right: .5rem; }
.confusion td, .confusion th { padding: 0; width: 2.4rem; min-width: 2.4rem; height: 1.7rem; text-align: center;
  font-size: 11px; border: 1px solid var(--line); font-variant-numeric: tabular-nums; }
.confusion th.row { text-align: right; padding-right: .5rem; white-space: nowrap; font-weight: normal; width: auto; }
.confusion th.column { height: 9.5rem; vertical-align: bottom; font-weight: normal; }
.confusion th.column span { writing-mode: vertical-rl; transform: rotate(180deg); padding: .3rem 0; }
figure { margin: 0 0 2rem; } figure img { width: 100%; border-radius: 8px; }
figcaption { color: var(--dim); font-size: 14px; margin-bottom: .4rem; overflow-wrap: anywhere; }
"""


def write_report(
    folder: Path,
    title: str,
    runs_on: str,
    score: Score,
    parts: Breakdown,
    predictions: LabelsOf,
    dataset: NuScenes,
    other: tuple[str, Score] | None = None,
) -> None:
    """Write the report. `other`: name and figures of a run to stand beside this one.

    Raises:
        OutputError: the folder cannot be written to.
    """
    worst = parts.worst()
    names = [f"frame-{number:02d}" for number in range(1, len(worst) + 1)]
    for name, frame in zip(names, worst, strict=True):
        _look(folder / name, dataset, predictions, frame)
    body = [
        f"<h1>{escape(title)}</h1><p class='sum'>{escape(runs_on)}; {score.frames} frames, "
        f"{'voxels that a camera sees' if score.masked else 'all voxels'}; occvino {escape(__version__)}</p>",
        _headline(score),
        "<h2>IoU by class</h2>",
        _classes(score, other),
        "<h2>By distance</h2>",
        _parts(parts.bands),
        "<h2>By visibility</h2>",
        _parts(parts.visibility),
        "<h2>What is taken for what</h2>",
        "<p class='sum'>Per cent of the voxels of a class (row) that got each label (column).</p>",
        _confusion(parts.confusion),
        f"<h2>The {len(worst)} worst frames</h2>",
        *map(_frame, names, worst),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )
    write_text(folder / "index.html", page)


def _look(path: Path, dataset: NuScenes, predictions: LabelsOf, frame: FrameScore) -> None:
    """A picture, and a page in 3D."""
    sample = dataset[frame.index]
    truth, labels = sample.load_labels(), predictions.load(sample)
    grid = get_variant("flashocc-r50-M0").occupancy_grid
    files = sample.image_files()
    volumes = {"Ground truth": truth.semantics, "Labels": labels}
    images = {name: opened(image) for name, image in files.items()}
    save_picture(compose(images, volumes, grid, OCC3D_CLASSES), path.with_suffix(".png"))
    shown = ViewFrame(
        frame.token,
        grid,
        OCC3D_CLASSES,
        labels,
        truth=truth.semantics,
        mask=truth.mask_camera,
        images=dict(files),
        rig=sample.rig,
        scene=frame.scene,
        miou=frame.miou,
    )
    write_html([shown], path.with_suffix(".html"), title=frame.token)


def _headline(score: Score) -> str:
    figures = {"mIoU": score.miou, **score.rays}
    if score.equal_labels is not None:
        figures["labels equal"] = score.equal_labels
    cards = "".join(
        f"<div><b>{_percent(value)}</b><span>{escape(name)}</span></div>" for name, value in figures.items()
    )
    return f"<div class='figures'>{cards}</div>"


def _classes(score: Score, other: tuple[str, Score] | None) -> str:
    heads = "<th>class</th><th></th><th class='n'>IoU, %</th>"
    heads += f"<th class='n'>{escape(other[0])}</th>" if other else ""
    rows: list[str] = []
    for name, value in score.per_class.items():
        beside = other[1].per_class.get(name) if other else None
        bars = _bar(value, COLOURS.get(name, (128, 136, 150))) + (_bar(beside, (128, 136, 150)) if other else "")
        cells = f"<td class='n'>{_percent(value)}</td>" + (f"<td class='n'>{_percent(beside)}</td>" if other else "")
        rows.append(
            f"<tr><td>{_swatch(name)}{escape(name.replace('_', ' '))}</td><td><div class='bar'>{bars}</div></td>{cells}"
            f"<td class='n'>{score.voxels.get(name, 0):,}</td></tr>"
        )
    return f"<div class='scroll'><table><tr>{heads}<th class='n'>voxels</th></tr>{''.join(rows)}</table></div>"


def _bar(value: float | None, colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return f"<i style='width:{100 * (value or 0):.1f}%;background:rgb({red},{green},{blue})'></i>"


def _swatch(name: str) -> str:
    red, green, blue = COLOURS.get(name, (128, 136, 150))
    return f"<span class='swatch' style='background:rgb({red},{green},{blue})'></span>"


def _parts(parts: Iterable[tuple[str, float, float]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class='n'>{_percent(miou)}</td><td class='n'>{_percent(occupied)}</td></tr>"
        for name, miou, occupied in parts
    )
    heads = "<tr><th></th><th class='n'>mIoU, %</th><th class='n'>IoU of occupied, %</th></tr>"
    return f"<div class='scroll'><table>{heads}{rows}</table></div>"


def _confusion(counts: NDArray[np.int64]) -> str:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [name.replace("_", " ") for name in OCC3D_CLASSES]
    head = "".join(f"<th class='column'><span>{escape(name)}</span></th>" for name in names)
    rows = "".join(
        f"<tr><th class='row'>{escape(name)}</th>{_shares(row, index)}</tr>"
        for index, (name, row) in enumerate(zip(names, shares, strict=True))
        if counts[index].any()
    )
    return f"<div class='scroll'><table class='confusion'><tr><th></th>{head}</tr>{rows}</table></div>"


def _shares(row: NDArray[np.float64], own: int) -> str:
    tint = "48,164,108", "229,72,77"
    return "".join(
        f"<td style='background:rgba({tint[index != own]},{0.75 * share:.2f})'>{_whole(share)}</td>"
        for index, share in enumerate(row)
    )


def _whole(share: float) -> str:
    return "" if share < 0.005 else str(round(100 * share))


def _frame(name: str, frame: FrameScore) -> str:
    words = f"{frame.scene} / {frame.token}: mIoU {_percent(frame.miou)} %"
    image = f"<img src='{name}.png' alt='{escape(words)}' loading='lazy'>"
    solid = f"<a href='{name}.html'>in 3D</a>"
    return f"<figure><figcaption>{escape(words)} ({solid})</figcaption>{image}</figure>"


def _percent(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{100 * value:.2f}"
