"""The doctor on models that it has never seen: well-known packages, random weights, no downloads.

In an environment that has occvino with its `convert` extra, and torch for the CPU:

    pip install transformers monai x-transformers einops loguru pyyaml safetensors huggingface-hub
    pip install --no-deps timm segmentation-models-pytorch efficientnet-pytorch kornia kornia-rs
    python benchmarks/doctor_strangers.py --write docs/doctor-strangers.md

`--no-deps` for what would install torchvision, which is not needed: see `without_torchvision`.

Each model runs in a process of its own, which also measures its memory.
"""

import argparse
import importlib
import json
import resource
import subprocess
import sys
import time
import types
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import nn

Made = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]
LIMIT = 900  # seconds for one model, exports included


def image(size: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, size, size)


def tokens(length: int = 16) -> torch.Tensor:
    return torch.randint(5, 90, (2, length))


class _Anything(type):
    def __getattr__(cls, name: str) -> Any:
        return MagicMock()


class StandIn(metaclass=_Anything):
    """A class to inherit from, with whatever attribute is asked for."""


class _TorchvisionFinder(MetaPathFinder, Loader):
    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.split(".")[0] == "torchvision" else None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__getattr__ = lambda name: StandIn if name[0].isupper() else MagicMock()  # type: ignore


def without_torchvision() -> None:
    """Some packages import torchvision for their data loaders only: an empty stand-in is enough to build models."""
    sys.meta_path.insert(0, _TorchvisionFinder())


def timm(name: str, size: int = 224, **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        without_torchvision()
        return importlib.import_module("timm").create_model(name, pretrained=False, **options), (image(size),), {}

    return make


def segmentation(name: str) -> Callable[[], Made]:
    def make() -> Made:
        without_torchvision()
        smp = importlib.import_module("segmentation_models_pytorch")
        return getattr(smp, name)("tu-resnet18", encoder_weights=None, classes=5), (image(128),), {}

    return make


TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def transformer(name: str, inputs: Callable[[], dict[str, Any]], **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        library = importlib.import_module("transformers")
        config = getattr(library, options.pop("config"))(**options)
        return getattr(library, name)(config), (), inputs()

    return make


def text() -> dict[str, Any]:
    return {"input_ids": tokens(), "attention_mask": torch.ones(2, 16, dtype=torch.long)}


def efficientnet() -> Made:
    return importlib.import_module("efficientnet_pytorch").EfficientNet.from_name("efficientnet-b0"), (image(128),), {}


def monai(name: str, *args: Any, **options: Any) -> Callable[[], Made]:
    def make() -> Made:
        nets = importlib.import_module("monai.networks.nets")
        return getattr(nets, name)(*args, **options), (torch.rand(1, 1, 64, 64),), {}

    return make


def kornia(name: str, channels: int, size: int) -> Callable[[], Made]:
    def make() -> Made:
        feature = importlib.import_module("kornia.feature")
        return getattr(feature, name)(pretrained=False), (torch.rand(2, channels, size, size),), {}

    return make


def x_transformer() -> Made:
    library = importlib.import_module("x_transformers")
    layers = library.Encoder(dim=32, depth=2, heads=2)
    return library.TransformerWrapper(num_tokens=100, max_seq_len=32, attn_layers=layers), (tokens(),), {}


def torch_transformer() -> Made:
    layer = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), (torch.rand(2, 10, 32),), {}


class Recurrent(nn.Module):
    """PyTorch's own LSTM, with one output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 32, 2, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, 16] -> [B, T, 64]."""
        return self.lstm(x)[0]


MODELS: dict[str, Callable[[], Made]] = {
    "timm resnet18": timm("resnet18"),
    "timm mobilenetv3_small_100": timm("mobilenetv3_small_100"),
    "timm efficientnet_b0": timm("efficientnet_b0"),
    "timm convnext_atto": timm("convnext_atto"),
    "timm regnety_002": timm("regnety_002"),
    "timm ghostnet_100": timm("ghostnet_100"),
    "timm vit_tiny_patch16_224": timm("vit_tiny_patch16_224"),
    "timm swin_tiny_patch4_window7_224": timm("swin_tiny_patch4_window7_224"),
    "timm resnet18 (features_only)": timm("resnet18", features_only=True),
    "segmentation_models_pytorch Unet": segmentation("Unet"),
    "segmentation_models_pytorch FPN": segmentation("FPN"),
    "segmentation_models_pytorch DeepLabV3Plus": segmentation("DeepLabV3Plus"),
    "transformers BertModel": transformer("BertModel", text, config="BertConfig", vocab_size=100, **TINY),
    "transformers DistilBertModel": transformer(
        "DistilBertModel", text, config="DistilBertConfig", vocab_size=100, dim=32, n_layers=2, n_heads=2, hidden_dim=64
    ),
    "transformers GPT2LMHeadModel": transformer(
        "GPT2LMHeadModel", text, config="GPT2Config", vocab_size=100, n_embd=32, n_layer=2, n_head=2, use_cache=False
    ),
    "transformers ViTModel": transformer(
        "ViTModel", lambda: {"pixel_values": image(32)}, config="ViTConfig", image_size=32, patch_size=8, **TINY
    ),
    "transformers SegformerForSemanticSegmentation": transformer(
        "SegformerForSemanticSegmentation", lambda: {"pixel_values": image(64)}, config="SegformerConfig"
    ),
    "transformers T5EncoderModel": transformer(
        "T5EncoderModel",
        text,
        config="T5Config",
        vocab_size=100,
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
    ),
    "efficientnet_pytorch efficientnet-b0": efficientnet,
    "monai UNet": monai("UNet", 2, 1, 2, channels=(8, 16, 32), strides=(2, 2)),
    "monai SegResNet": monai("SegResNet", 2, 8, 1, 2),
    "kornia HardNet": kornia("HardNet", 1, 32),
    "x_transformers TransformerWrapper": x_transformer,
    "torch nn.TransformerEncoder": torch_transformer,
    "torch nn.LSTM": lambda: (Recurrent(), (torch.rand(2, 7, 16),), {}),
}


def examine(name: str) -> dict[str, Any]:
    """One model, in this process."""
    from occvino.doctor import diagnose

    torch.manual_seed(0)
    module, args, kwargs = MODELS[name]()
    module.eval()
    started = time.perf_counter()
    findings = diagnose(module, args, kwargs)
    total = time.perf_counter() - started
    exports = sum(seconds for step, seconds in findings.seconds.items() if step.startswith("export"))
    package = name.split()[0]
    return {
        "version": getattr(importlib.import_module(package), "__version__", "?"),
        "parameters": sum(p.numel() for p in module.parameters()),
        "routes": findings.routes,
        "findings": [
            {
                "severity": f.severity.value,
                "code": f.code,
                "where": f"{Path(f.place.file).name}:{f.place.line}" if f.place else "",
                "line": f.place.code if f.place else "",
                "subject": f.subject,
                "message": f.message,
                "evidence": list(f.evidence),
            }
            for f in findings
        ],
        "total": total,
        "exports": exports,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_own_process(name: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {"crash": f"over {LIMIT} s"}
    if done.returncode:
        return {"crash": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """The page."""
    lines = [
        "# The doctor on strangers",
        "",
        "Generated by `benchmarks/doctor_strangers.py`. Random weights, no downloads, one process a model, PyTorch "
        f"{torch.__version__.split('+')[0]}. Exit 0 means neither error nor warning. Routes: legacy, dynamo, "
        "OpenVINO's own conversion, and dynamo read by OpenVINO; a tick means that the graph agrees with PyTorch on "
        "*changed* inputs. Seconds: all, and without the exports themselves; the machine was shared and busy.",
        "",
        "| model | parameters | routes | exit | notes, warnings, errors | s | s without exports |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    details: list[str] = []
    for name, result in results.items():
        if "crash" in result:
            lines.append(f"| {name} | | | **crash** | {result['crash']} | | |")
            continue
        verdicts = [result["routes"][route] for route in ("legacy", "dynamo", "openvino", "dynamo+openvino")]
        ticks = " ".join("✓" if verdict.startswith("agrees") else "✗" for verdict in verdicts)
        counts = {s: sum(f["severity"] == s for f in result["findings"]) for s in ("note", "warning", "error")}
        exit_code = 1 if counts["warning"] or counts["error"] else 0
        lines.append(
            f"| {name} ({result['version']}) | {result['parameters'] / 1e6:.1f} M | {ticks} | {exit_code} | "
            f"{counts['note']}, {counts['warning']}, {counts['error']} | {result['total']:.0f} | "
            f"{result['total'] - result['exports']:.1f} |"
        )
        for f in result["findings"]:
            details.append(
                f"- **{name}**, {f['where'] or 'the call as a whole'}: {f['severity']} `{f['code']}`, {f['message']}."
            )
            if f["line"]:
                details.append(f"  `{f['line']}`")
            details += [f"  - {line}" for line in f["evidence"]]
    return "\n".join([*lines, "", "## Every finding", "", *(details or ["None."]), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", choices=MODELS, help="examine one model and print JSON")
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--keep", type=Path, default=Path("strangers.json"), help="results so far; reused")
    parser.add_argument("--write", type=Path, help="the page to write")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(examine(options.one)))
        return
    results = json.loads(options.keep.read_text()) if options.keep.exists() else {}
    for name in MODELS:
        if ("crash" in results.get(name, {"crash": ""})) and options.only in name:
            results[name] = in_own_process(name)
            print(name, results[name].get("crash", results[name].get("routes")), flush=True)
            options.keep.write_text(json.dumps(results, indent=1))
    if options.write:
        options.write.write_text(markdown({name: results[name] for name in MODELS if name in results}))


if __name__ == "__main__":
    main()
