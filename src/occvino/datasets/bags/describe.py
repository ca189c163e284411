"""What is in a bag, and whether it will do: `occvino info BAG`."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from occvino.datasets.bags.bag import Bag, Topic
from occvino.datasets.bags.messages import IMAGES
from occvino.datasets.bags.options import BagOptions
from occvino.datasets.bags.rig import rig_of_setup
from occvino.datasets.bags.setup import choose_cameras, set_up
from occvino.datasets.bags.survey import STAMPS, Survey, look
from occvino.datasets.bags.tree import MovingTree
from occvino.errors import OccvinoError


@dataclass
class Description:
    """What is told of a bag. `problems`: why it will not do, each with its cure; `rates`: messages a second."""

    path: str
    format: str
    start_ns: int
    seconds: float
    topics: list[Topic]
    rates: dict[str, float]
    tree: list[str] = field(default_factory=list[str])
    cameras: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])

    @property
    def ok(self) -> bool:
        """Whether it can be labelled."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        topics = [
            {"name": topic.name, "type": topic.type, "messages": topic.count, "rate": self.rates[topic.name]}
            for topic in self.topics
        ]
        return {**asdict(self), "topics": topics, "ok": self.ok}


def describe(bag: Bag, options: BagOptions | None = None) -> Description:
    """Look at a bag as a run would."""
    options = options or BagOptions()
    seconds = (bag.end - bag.start) / 1e9
    topics = sorted(bag.topics.values(), key=lambda topic: topic.name)
    rates = {topic.name: round(topic.count / seconds, 2) if seconds else 0.0 for topic in topics}
    found = Description(str(bag.path), bag.format, bag.start, round(seconds, 3), topics, rates)
    if bag.damaged:
        found.problems.append(bag.damaged)
    survey = _try_out(bag, options, found)
    if survey is None:
        counts = {topic.name: min(STAMPS, topic.count) for topic in topics if topic.kind in IMAGES}
        try:
            survey = look(bag, counts, round(options.pose_gap * 1e9), lambda _: True)
        except OccvinoError as error:
            found.problems.append(str(error))
            return found
    found.tree = list(tree_lines(survey.tree))
    return found


def _try_out(bag: Bag, options: BagOptions, found: Description) -> Survey | None:
    """Set up as a run would, and note what stands in the way; None if not even the cameras are known."""
    survey = None
    try:
        found.cameras = [f"{camera.name}: {camera.image}" for camera in choose_cameras(bag, options, None)]
        setup = set_up(bag, options, None, still=True)
        survey = setup.survey
        found.cameras = setup.lines()[:-1]
        rig_of_setup(setup, options)
        setup = set_up(bag, options, None)
        survey = setup.survey
        found.cameras = setup.lines()
    except OccvinoError as error:
        found.problems.append(str(error))
    return survey


def tree_lines(tree: MovingTree) -> Iterator[str]:
    """The frames, each under its parent and indented by two spaces; those that move are marked."""
    edges = tree.edges

    def below(frame: str, depth: int) -> Iterator[str]:
        moves = "" if frame not in edges or tree.is_fixed(frame) else " (moves)"
        yield f"{'  ' * depth}{frame}{moves}"
        for child in sorted(name for name, parent in edges.items() if parent == frame):
            yield from below(child, depth + 1)

    for root in sorted(set(edges.values()) - set(edges)):
        yield from below(root, 0)
