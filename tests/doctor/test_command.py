"""`occvino doctor`: exit codes, JSON, HTML."""

import json
from dataclasses import replace

import pytest

from occvino.cli import app as cli
from occvino.doctor import Report, diagnose
from occvino.doctor.findings import Fix
from tests.doctor.zoo import leaving


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `occvino doctor ...` in this process: exit code, what it printed, what it said on the side."""

    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["occvino", "doctor", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return command


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    def without_routes(module, args, kwargs, **options):
        return diagnose(module, args, kwargs, **options, routes=())

    monkeypatch.setattr("occvino.doctor.examine.diagnose", without_routes)


def clean():
    return leaving.Conv().eval(), (leaving.X,), {}


def trapped():
    return leaving.Item().eval(), [leaving.X], {}


def wrong():
    return leaving.Conv()


def broken():
    raise ImportError("no mmcv here")


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("clean", 0, "Nothing found"),
        ("trapped", 1, "leaving/item"),
        ("wrong", 2, "must return (module, args, kwargs)"),
        ("broken", 2, "no mmcv here"),
        ("missing", 2, "missing"),
    ],
)
def test_exit_codes(run, target, code, said):
    ended, out, err = run(f"{__name__}:{target}")
    assert ended == code, out + err
    assert said in " ".join((out + err).split())


def with_other_calls():
    return leaving.Conv().eval(), [leaving.X], {}, [([leaving.X[:1]], {})]


def with_no_calls():
    return leaving.Conv().eval(), [leaving.X], {}, [leaving.X[:1]]


def test_a_factory_may_give_other_calls(run, monkeypatch):
    asked = []

    def noted(module, args, kwargs, *, devices, variations, **_):
        asked.extend(variations)
        return diagnose(module, args, kwargs, devices=devices, variations=variations, routes=())

    monkeypatch.setattr("occvino.doctor.examine.diagnose", noted)
    ended, _, _ = run(f"{__name__}:with_other_calls")
    assert ended == 0
    ((args, kwargs),) = asked
    assert args[0].shape[0] == 1
    assert kwargs == {}
    ended, _, err = run(f"{__name__}:with_no_calls")
    assert ended == 2
    assert "(args, kwargs)" in err


def test_a_target_without_a_factory_is_wrong_use(run):
    ended, _, err = run("some_module")
    assert ended == 2
    assert "package.module:factory" in err


def test_json_is_all_that_is_printed(run):
    _, out, _ = run(f"{__name__}:trapped", "--json")
    report = json.loads(out)
    assert report["clean"] is False
    assert [f["code"] for f in report["findings"]] == ["leaving/item"]
    assert report["findings"][0]["place"]["file"].endswith("leaving.py")


def test_html_escapes_what_came_from_the_module(run, tmp_path):
    ended, _, _ = run(f"{__name__}:trapped", "--html", str(tmp_path / "report.html"))
    assert ended == 1
    assert "leaving/item" in (tmp_path / "report.html").read_text()

    evil = "<script>alert('&')</script>"
    finding = diagnose(*trapped(), routes=())[0]
    finding = replace(
        finding, subject=evil, message=evil, evidence=(evil,), fix=Fix(evil, True, True, evil),
        place=replace(finding.place, file=evil, code=evil),
    )  # fmt: skip
    html = Report(evil, (finding,), {evil: evil}, {}).to_html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 9
    assert "http" not in html
