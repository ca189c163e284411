"""What the generated pages are made of."""

import json
from collections.abc import Iterable
from typing import Any

from benchmarks.harness import RESULTS, nano_weights
from occvino.runtime.names import precision_name


def load(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def named(by_precision: dict[str, Any]) -> dict[str, Any]:
    """Results by precision, with today's names: older records have f32 and f16."""
    return {precision_name(name): found for name, found in by_precision.items()}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float) -> str:
    """Rounded down, so that 100 % means all."""
    return "100 %" if share == 1 else f"{int(share * 1e5) / 1e3:.3f} %"


def timings(document: dict[str, Any], unit: str = "ms") -> str:
    parts = []
    for label, rows in document["results"].items():
        head = [label, f"best, {unit}", "median", "worst", "ratio of medians"]
        body = (
            [row["name"], *(f"{row[key]:.1f}" for key in ("best", "median", "worst")), f"{row['ratio']:.2f}x"]
            for row in rows
        )
        parts.append(table(head, body))
    return "\n\n".join(parts)


def heading(title: str, document: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    return (
        f"## {title}\n\n`{document['command']}`, {document['machine']}, {document['threads']} threads, {versions}; "
        f"{document.get('rounds', 1)} rounds, contestants in turn.{of_which_weights(document)}\n"
    )


def of_which_weights(document: dict[str, Any]) -> str:
    """Words to add where accuracy was measured with other weights of occvino-nano than those that ship."""
    if '"miou"' not in json.dumps(document) or document.get("nano_weights") == nano_weights():
        return ""
    return " **Accuracy of occvino-nano is that of the weights before the present ones.**"
