"""Sections of docs/benchmarks.md about a whole frame."""

from typing import Any

from benchmarks.competitor import NAME, NETWORKS_ALONE
from benchmarks.markdown import heading, load, percent, table, timings
from benchmarks.targets import rows


def targets_section() -> str:
    """What was aimed at and what came out."""
    found = {name: load(name) for name in ("pool", "frame", "profile", "preprocess", "plan", "int8", "peers")}
    lines = [[what, asked, measured, "met" if met else "**not met**"] for what, asked, measured, met in rows(found)]
    return "\n".join(
        [
            "## Targets\n",
            "Ratios of medians within one run, of the runs that follow. All of them are on this CPU; another one has other",
            "ratios.\n",
            table(["what", "aimed at", "measured", ""], lines) + "\n",
        ]
    )


def frame_section(found: dict[str, Any]) -> str:
    """One frame, and the memory that it takes."""
    agree = [
        [model, name, percent(share)]
        for model, shares in found["labels_equal"].items()
        for name, share in shares.items()
    ]
    names = list(dict.fromkeys(name for peaks in found["peak_memory_mib"].values() for name in peaks))
    memory = [
        [model, *(f"{peaks[name]:.0f}" if name in peaks else "" for name in names)]
        for model, peaks in found["peak_memory_mib"].items()
    ]
    return "\n".join(
        [
            heading("One frame, u8 tensor to labels", found).replace(
                "frame`", "frame ARTIFACT... --competitor SOURCE PREPARED`"
            ),
            f"Random weights, the same for all. {NAME} ([how](../benchmarks/competitor.py)) gets float32 images that are",
            "normalised already, and runs with its IO optimisations off: with them on, which is its default, its trunk never",
            f'gets the BEV features on a CPU. M1 cannot run in it, so "{NETWORKS_ALONE}" are what is timed there: its',
            "encoder, its trunk on some other BEV, and the class of each voxel.\n",
            timings(found) + "\n",
            "Labels equal to torch's, on this frame:\n",
            table(["model", "contestant", "labels equal"], agree) + "\n",
            "Peak memory in MiB of a process that loads one contestant and runs two frames:\n",
            table(["model", *names], memory) + "\n",
        ]
    )


def profile_section(found: dict[str, Any]) -> str:
    """Time by kind of operator, and the rate of the convolutions."""
    profiles, peak = found["profile"], found["peak_gmacs_per_s"]
    kinds = sorted(
        {kind for each in profiles.values() for kind in each["kinds"]}, key=lambda kind: -_largest(profiles, kind)
    )
    shown = [kind for kind in kinds if _largest(profiles, kind) >= 0.001]
    lines = [
        [
            kind,
            *(
                f"{each['kinds'].get(kind, 0.0):.1f} ms, {each['kinds'].get(kind, 0.0) / each['ms']:.1%}"
                for each in profiles.values()
            ),
        ]
        for kind in shown
    ]
    lines.append(["**neither convolution nor product**", *(f"**{each['neither']:.1%}**" for each in profiles.values())])
    lines.append(["convolutions, GMAC/s", *(f"{each['gmacs_per_s']:.0f}" for each in profiles.values())])
    peaks = ", ".join(f"{kind} {rate:.0f}" for kind, rate in peak.items())
    return "\n".join(
        [
            heading("Where the time goes", found).replace("profile`", "profile NAME=ARTIFACT...`"),
            'By the CPU plugin\'s counters, in fp32, medians; kinds under 0.1 % are left out. "Before" is an IR of the version',
            "before the head became 1x1 convolutions and labels were found where the scores lie (the one before `fb570c0`).\n",
            table(["kind of operator", *profiles], lines) + "\n",
            f"What one large operator of a kind reaches alone, between those frames, GMAC/s: {peaks}.\n",
        ]
    )


def _largest(profiles: dict[str, Any], kind: str) -> float:
    return max(each["kinds"].get(kind, 0.0) / each["ms"] for each in profiles.values())
