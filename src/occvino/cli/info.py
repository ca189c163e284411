"""The command `occvino info`."""

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from occvino.artifact import IR, Artifact
from occvino.cli.complete import complete_variant_or_folder, complete_words
from occvino.cli.console import out, print_json
from occvino.cli.info_bag import info_bag
from occvino.cli.options import Json
from occvino.cli.tables import (
    print_identity,
    print_manifest,
    print_npu_reports,
    print_rule_check,
    print_variant,
    print_variants,
    variant_rows,
)
from occvino.datasets.bags.source import is_bag
from occvino.errors import OccvinoError, VariantError
from occvino.runtime.npu_compiler import PLATFORMS, compile_parts
from occvino.runtime.npu_rules import check_npu_rules
from occvino.variants import get_variant, nearest

_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors", ".tar")


def info(
    artifact: Annotated[
        Path | None,
        typer.Argument(
            autocompletion=complete_variant_or_folder,
            help="Artifact folder, checkpoint file, ROS bag or model's name; the list of models when left out.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(autocompletion=complete_words("NPU"), help="NPU: check the IR by what its compiler does."),
    ] = None,
    compiler: Annotated[
        bool, typer.Option("--compiler", help="With --device NPU: ask Intel's compiler itself (tools/npu sets it up).")
    ] = False,
    platform: Annotated[
        str,
        typer.Option(
            autocompletion=complete_words(*PLATFORMS),
            help="With --compiler: 4000 is Lunar Lake, 5010 Panther Lake.",
        ),
    ] = "4000",
    as_json: Json = False,
) -> None:
    """List models, or describe one, an artifact, checkpoint or bag.

    With --device NPU, check whether an artifact compiles for an NPU.

    Example: occvino info m0 --device NPU
    """
    if artifact is None:
        rows = variant_rows()
        if as_json:
            print_json(rows)
        else:
            print_variants(out, rows)
        return
    if is_bag(artifact):
        info_bag(artifact, device, as_json=as_json)
        return
    if artifact.is_file() or (artifact.suffix in _CHECKPOINTS and not artifact.exists()):
        _describe_checkpoint(artifact, device, as_json=as_json)
        return
    if not artifact.exists() and artifact.name == str(artifact):
        row = _row_of(artifact.name)
        if as_json:
            print_json(row)
        else:
            print_variant(out, row)
        return
    opened = Artifact.open(artifact)
    if compiler and device is None:
        raise OccvinoError("--compiler is for --device NPU")
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
    if compiler:
        _ask_the_compiler(opened, platform, as_json=as_json)
    check = check_npu_rules(opened.path / IR)
    if as_json:
        print_json(check.to_dict())
    else:
        print_rule_check(out, check)
    raise typer.Exit(0 if check.ok else 1)


def _ask_the_compiler(artifact: Artifact, platform: str, *, as_json: bool) -> NoReturn:
    reports = compile_parts(artifact.path / IR, platform)
    if as_json:
        print_json({part: found.to_dict() for part, found in reports.items()})
    else:
        print_npu_reports(out, reports)
    raise typer.Exit(0 if all(found.ok for found in reports.values()) else 1)


def _row_of(name: str) -> dict[str, Any]:
    """What there is to tell about a model; of what is neither a folder nor a model, the name it may stand for."""
    try:
        known = get_variant(name).name
    except VariantError as error:
        meant = nearest(name)
        guess = f"did you mean {meant}? " if meant else ""
        raise OccvinoError(f"{name} is not an artifact, nor a model: {guess}`occvino info` lists the models") from error
    return next(row for row in variant_rows() if row["name"] == known)


def _describe_checkpoint(path: Path, device: str | None, *, as_json: bool) -> None:
    from occvino.networks.fit import identify

    if device is not None:
        raise OccvinoError(f"--device is for an artifact, and {path} is a file: convert it first")
    found = identify(path)
    if as_json:
        print_json(found.to_dict())
    else:
        print_identity(found)
