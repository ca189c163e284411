"""The command `occvino info`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from occvino.artifact import IR, Artifact
from occvino.cli.console import out, print_json
from occvino.cli.options import Json
from occvino.cli.tables import print_manifest, print_rule_check, print_variant, print_variants, variant_rows
from occvino.errors import OccvinoError
from occvino.runtime.npu_rules import check_npu_rules
from occvino.variants import variants


def info(
    artifact: Annotated[
        Path | None, typer.Argument(help="Artifact folder, or a model's name; the list of models when left out.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="NPU: check the IR against the rules of its importer.")] = None,
    as_json: Json = False,
) -> None:
    """List the models, describe one or an artifact, or check an artifact against the rules of an NPU.

    Example: occvino info m0 --device NPU
    """
    if artifact is None:
        rows = variant_rows()
        if as_json:
            print_json(rows)
        else:
            print_variants(out, rows)
        return
    if not artifact.is_dir() and str(artifact) in variants():
        row = next(row for row in variant_rows() if row["name"] == str(artifact))
        if as_json:
            print_json(row)
        else:
            print_variant(out, row)
        return
    opened = Artifact.open(artifact)
    if device is None:
        if as_json:
            sys.stdout.write(opened.manifest.to_json())
        else:
            print_manifest(out, opened)
        return
    if device.upper() != "NPU":
        raise OccvinoError(
            f"--device {device}: only NPU is checked by rules; for others, run `occvino verify --device`"
        )
    check = check_npu_rules(opened.path / IR)
    if as_json:
        print_json(check.to_dict())
    else:
        print_rule_check(out, check)
    raise typer.Exit(0 if check.ok else 1)
