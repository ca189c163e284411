"""How fast an artifact runs here, through the `Pipeline` that users call. Needs what the runtime needs, no more.

`calls` and `streams` measure in this process, `fresh` in processes of their own; `measure` does all of it.
"""

from occvino.bench.benchmark import Benchmark, measure
from occvino.bench.request import Request
from occvino.bench.times import Times

__all__ = ["Benchmark", "Request", "Times", "measure"]
