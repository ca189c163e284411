"""The doctor on public models: what it says, and whether the lines that it prints lead to a model that agrees.

    python -m benchmarks.doctor_public --zoo ZOO                     # all of ZOO/factories/*.py, one process each
    python -m benchmarks.doctor_public --page                        # docs/doctor-public.md from the results

A factory is a Python file with `TITLE`, `REPOSITORY`, `COMMIT`, `TRIED` (what of it, in words), `GROUP` ("named" or
"new"), `module()`, which gives a `torch.nn.Module` with random weights, and `call(turn, seed)`, which gives `(args,
kwargs)`: images from that seed, and a rig turned by so many degrees. No code of the models is in this repository.
"""

import argparse
import ast
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "doctor_public.json"
PAGE = ROOT / "docs" / "doctor-public.md"
LIMIT = 1500  # seconds for one model, exports included
TRIES = {"new images": (0.0, 1), "rig turned by 20 degrees": (20.0, 0)}
TOLD = ("title", "repository", "commit", "tried", "group")


def told_of(file: Path) -> dict[str, str]:
    """What the factory says of its model, without running it: a model that dies has a row too."""
    told: dict[str, str] = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
            names = [part for part in getattr(target, "elts", [target]) if isinstance(part, ast.Name)]
            for name, value in zip(names, getattr(node.value, "elts", [node.value]), strict=False):
                if name.id.lower() in TOLD:
                    told[name.id.lower()] = ast.literal_eval(value)
    missing = [name.upper() for name in TOLD if name not in told]
    if missing:
        raise SystemExit(f"{file} does not say {', '.join(missing)}")
    return told


def loaded(file: Path) -> Any:
    """The factory in this file."""
    sys.path[:0] = [str(file.parent), str(file.parent.parent)]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    factory = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = factory
    spec.loader.exec_module(factory)
    return factory


def compared(factory: Any, module: Any, scope: dict[str, Any]) -> dict[str, Any]:
    """The OpenVINO model that the printed lines made, against PyTorch on calls that it has not seen."""
    import numpy as np
    import openvino as ov
    import torch

    from occvino.doctor.agreement import LABEL_TOLERANCE, agrees, share_beyond, worst
    from occvino.doctor.flatmodule import input_positions

    flat, model = scope["flat"], scope["model"]
    positions = input_positions(model, flat.input_names)
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    said: dict[str, Any] = {}
    before = expected_of(module, factory.call(0.0, 0))
    for name, (turn, seed) in TRIES.items():
        call = factory.call(turn, seed)
        tensors = flat.tensors_of(*call)
        expected = expected_of(module, call)
        results = compiled([np.asarray(tensors[at].numpy(), order="C") for at in positions])
        got = [torch.from_numpy(np.array(results[port])) for port in compiled.outputs]
        share = max(share_beyond(a, b) for a, b in zip(got, expected, strict=True))
        said[name] = {
            "error": worst(got, expected),
            "share": share,
            "moved": worst(expected, before),
            "agrees": agrees(got, expected) or share <= LABEL_TOLERANCE,
        }
    return said


def expected_of(module: Any, call: Any) -> Any:
    """What the module gives for this call, which must be used once: some modules write into their metadata."""
    import torch

    from occvino.doctor.agreement import as_outputs

    with torch.no_grad():
        return as_outputs(module(*call[0], **call[1]))


def examined(file: Path) -> dict[str, Any]:
    """One model, in this process."""
    import torch

    from occvino.doctor import diagnose

    file = file.absolute()
    zoo = file.parent.parent
    os.chdir(tempfile.mkdtemp())  # some of the lines write a file
    factory = loaded(file)
    torch.manual_seed(0)
    module = factory.module().eval()
    args, kwargs = factory.call(0.0, 0)
    start = time.perf_counter()
    report = diagnose(module, args, kwargs, progress=lambda step: print(step, file=sys.stderr, flush=True))
    total = time.perf_counter() - start
    exports = sum(seconds for step, seconds in report.seconds.items() if step.startswith("export"))
    told = report.to_dict()
    answer = report.answer
    result = {
        **told_of(file), "exit": 0 if report.clean else 1, "answer": told["answer"], "routes": told["routes"],
        "seconds": total, "exports": exports, "steps": told["seconds"],
        "findings": [
            {
                "severity": f.severity.value, "code": f.code, "subject": f.subject, "message": f.message,
                "where": f"{Path(f.place.file).name}:{f.place.line}" if f.place else "",
                "evidence": [one.replace(f"{zoo}/", "") for one in f.evidence],
                "fix": f.fix.snippet, "proof": f.fix.proof,
            }
            for f in report
        ],
    }  # fmt: skip
    if answer is not None and answer.route:
        args, kwargs = factory.call(0.0, 0)
        scope: dict[str, Any] = {"module": module, "args": args, "kwargs": kwargs}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                exec(answer.snippet, scope)
            result["compared"] = compared(factory, module, scope)
        except Exception as failure:  # the lines that were printed do not run: that is a result
            result["lines fail"] = f"{type(failure).__name__}: {failure}"[:500]
    return result


def in_own_process(file: Path, limit: int = LIMIT) -> dict[str, Any]:
    """One model; a crash is a result."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.doctor_public", "--one", str(file.absolute())]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return {**told_of(file), "crash": f"over {limit} s"}
    if done.returncode:
        return {**told_of(file), "crash": f"the process ended, exit code {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def chosen(zoo: Path, only: str) -> list[Path]:
    """The factories of these names; all of them where no name is given."""
    files = {file.stem: file for file in sorted((zoo / "factories").glob("*.py"))}
    names = only.split(",") if only else list(files)
    unknown = [name for name in names if name not in files]
    if unknown or not files:
        raise SystemExit(f"{zoo / 'factories'} holds {', '.join(files) or 'no factory'}; not {', '.join(unknown)}")
    return [files[name] for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, help="folder with factories/")
    parser.add_argument("--one", type=Path, help="examine one factory and print JSON")
    parser.add_argument("--only", default="", help="names of factories, separated by commas")
    parser.add_argument("--page", action="store_true", help="write the page")
    options = parser.parse_args()
    if options.one:
        print("\n" + json.dumps(examined(options.one)))
        return
    if not options.zoo and not options.page:
        parser.error("--zoo, --one or --page")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for file in chosen(options.zoo, options.only) if options.zoo else []:
        results[file.stem] = in_own_process(file)
        told = results[file.stem]
        print(file.stem, told.get("exit", told.get("crash")), (told.get("answer") or {}).get("said"), flush=True)
        print(told.get("compared", told.get("lines fail")), round(told.get("seconds", 0)), flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    if options.page:
        from benchmarks.doctor_public_page import page

        PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
