"""Print the oldest versions that pyproject.toml allows, as constraints for pip.

    python scripts/floors.py convert viz > floors.txt && pip install -c floors.txt '.[convert,viz]'

Without extras: those of the core install. A floor is what is tested, so raise it when this no longer installs or works.
"""

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it there

RANGE = re.compile(r"(?P<name>[\w.-]+)(?:\[[^\]]*\])?>=(?P<floor>[\w.]+)")


def floors(project: dict[str, Any], extras: list[str]) -> list[str]:
    """`name==version` for each dependency of the core and of these extras, once; one without a floor has none."""
    known = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in known]
    if unknown:
        raise SystemExit(f"no extra is called {', '.join(unknown)}: {', '.join(known)}")
    listed = list(project["dependencies"]) + [one for extra in extras for one in known[extra]]
    found = [RANGE.match(one) for one in listed]
    return sorted({f"{one['name']}=={one['floor']}" for one in found if one})


if __name__ == "__main__":
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    print("\n".join(floors(tomllib.loads(text)["project"], sys.argv[1:])))
