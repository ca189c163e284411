"""How the command line looks, completes and spells."""

import json
import math
import subprocess
import sys

import pytest

from occvino.cli.console import print_json
from occvino.variants import get_variant, variants
from tests.cli import command


def occvino(*arguments, columns=80, **environment):
    return command.occvino(*arguments, check=0, COLUMNS=str(columns), **environment).stdout


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_name_of_a_model_is_broken_at_any_width(columns):
    lines = occvino("info", columns=columns).splitlines()
    assert [line.split()[0] for line in lines if line.startswith(variants())] == list(variants())
    if columns >= 80:
        assert max(map(len, lines)) <= columns
    one = next(line.split() for line in lines if line.startswith("flashocc-r50-M0 "))
    assert (one[1], one[-1]) == ("1", "31.95")


@pytest.mark.parametrize("name", ["FLASHOCC-R50", "flashocc-r50-M1", "FlashOcc-r50-m1"])
def test_info_knows_models_in_any_case_and_by_other_names(name):
    assert json.loads(occvino("info", name, "--json"))["name"] == "flashocc-r50"
    assert get_variant(name).name == "flashocc-r50"


def test_help_lists_each_command_on_one_line():
    shown = occvino("--help")
    listed = shown[shown.index("Commands") :].splitlines()[1:-1]
    names = [
        "demo",
        "convert",
        "verify",
        "run",
        "batch",
        "view",
        "bench",
        "info",
        "compile",
        "synth",
        "train",
        "eval",
        "doctor",
        "serve",
        "export-server",
        "bugreport",
        "rig",
    ]
    assert [line.split()[1] for line in listed if line.startswith("│")] == names


def test_the_shell_is_offered_models_and_devices(tmp_path, monkeypatch):
    def offered(words):
        asked = {
            "_OCCVINO_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        return occvino(**asked).split()

    assert offered("occvino convert flashocc-r50-M") == ["flashocc-r50-M0"]
    assert "CPU" in offered("occvino run m0 --device C")
    assert offered("occvino bench m0 --precision fp") == ["fp32", "fp16"]
    (tmp_path / "occvino-artifact" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert offered("occvino info occvino") == ["occvino-nano", "occvino-artifact"]
    assert offered("occvino info occvino-artifact/") == ["occvino-artifact/inner"]


def test_printed_json_has_no_nan(capsys):
    print_json({"miou": math.nan, "times": [1.5, math.inf, -math.inf], "name": "NaN"})
    found = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(word))
    assert found == {"miou": None, "times": [1.5, None, None], "name": "NaN"}


def test_what_is_true_of_each_frame_is_said_once():
    lines = [
        "import warnings",
        "from occvino.cli import app",
        "def told():",
        "    for place in range(3): warnings.warn_explicit('of each frame', UserWarning, 'a.py', place)",
        "    warnings.warn_explicit('of another', UserWarning, 'a.py', 9)",
        "app.app = told",
        "app.commands()",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stderr.count("of each frame") == 1
    assert done.stderr.count("of another") == 1
