"""The doctor on public models: what it says, and whether the lines that it prints lead to a model that agrees.

    python -m benchmarks.doctor_public --zoo ZOO                     # all of ZOO/factories/*.py, one process each
    python -m benchmarks.doctor_public --page                        # docs/doctor-public.md from the results

A factory is a Python file with `TITLE`, `REPOSITORY`, `COMMIT`, `TRIED` (what of it, in words), `GROUP` ("named" or
"new"), `module()`, which gives a `torch.nn.Module` with random weights, and `call(turn, seed)`, which gives `(args,
kwargs)`: images from that seed, and a rig turned by so many degrees. No code of the models is in this repository.
"""

import argparse
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
SHOWN = 6
"""Findings that the page tells of a model."""


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

    from occvino.doctor.agreement import LABEL_TOLERANCE, agrees, as_outputs, share_beyond, worst
    from occvino.doctor.flatmodule import input_positions

    flat, model = scope["flat"], scope["model"]
    positions = input_positions(model, flat.input_names)
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    said: dict[str, Any] = {}
    for name, (turn, seed) in TRIES.items():
        args, kwargs = factory.call(turn, seed)
        tensors = flat.tensors_of(args, kwargs)
        with torch.no_grad():
            expected = as_outputs(module(*args, **kwargs))
        before = expected_of(module, factory.call(0.0, 0))
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
    """What the module gives for a call that is made anew, since some modules write into their metadata."""
    import torch

    from occvino.doctor.agreement import as_outputs

    with torch.no_grad():
        return as_outputs(module(*call[0], **call[1]))


def examined(file: Path) -> dict[str, Any]:
    """One model, in this process."""
    import torch

    from occvino.doctor import diagnose

    zoo = file.absolute().parent.parent
    os.chdir(tempfile.mkdtemp())  # some of the lines write a file
    factory = loaded(file.absolute())
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
        "title": factory.TITLE, "repository": factory.REPOSITORY, "commit": factory.COMMIT, "tried": factory.TRIED,
        "group": factory.GROUP, "exit": 0 if report.clean else 1, "answer": told["answer"], "routes": told["routes"],
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
        return {"title": file.stem, "group": "named", "crash": f"over {limit} s"}
    if done.returncode:
        return {"title": file.stem, "group": "named", "crash": f"the process ended, exit code {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


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
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for file in sorted((options.zoo / "factories").glob("*.py")) if options.zoo else []:
        if not options.only or file.stem in options.only.split(","):
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
