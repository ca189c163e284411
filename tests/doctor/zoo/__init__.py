"""Small modules with one trap each, and each with a twin that does the same without it.

In the trap's source one line ends with `# TRAP`: there the doctor must point.
"""

from tests.doctor.zoo import frozen, leaving, operators, parity, replaceable, scatter, signature, solver
from tests.doctor.zoo.pair import Pair

PAIRS: tuple[Pair, ...] = (
    *signature.PAIRS,
    *leaving.PAIRS,
    *frozen.PAIRS,
    *operators.PAIRS,
    *scatter.PAIRS,
    *solver.PAIRS,
    *parity.PAIRS,
    *replaceable.PAIRS,
)
