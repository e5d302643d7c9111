"""Check a pytest report: a floor on the tests of each folder (.ci/floors), reasons to skip (.ci/skips): count.py JUNIT.

Counts what ran; a skipped test counts for nothing. A reason marked `without-data` is allowed only where
PACBOUND_DATA is not set.
"""

import fnmatch
import os
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent


def lines(name: str) -> list[list[str]]:
    """Fields of each line of a table: the first word, and the rest; comments and empty lines left out."""
    rows = (row.strip() for row in (HERE / name).read_text("utf-8").splitlines())
    return [row.split(maxsplit=1) for row in rows if row and not row.startswith("#")]


def folder_of(classname: str) -> str:
    """tests/<folder>, tests for the files above, pacbound for doctests."""
    parts = classname.split(".")
    if parts[0] != "tests" or len(parts) < 2:
        return parts[0]
    return "tests" if parts[1].startswith("test_") else f"tests/{parts[1]}"


def main(report: str) -> int:
    """Print counts and complaints; return the exit code."""
    ran: Counter[str] = Counter()
    complaints = []
    with_data = bool(os.environ.get("PACBOUND_DATA"))
    allowed = [pattern for when, pattern in lines("skips") if when == "always" or not with_data]
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if skipped is None:
            ran[folder_of(case.get("classname", ""))] += 1
        elif not any(fnmatch.fnmatch(skipped.get("message", ""), pattern) for pattern in allowed):
            complaints.append(f"{case.get('classname')}::{case.get('name')} skipped: {skipped.get('message')}")
    floors = {folder: int(number) for folder, number in lines("floors")}
    for folder in sorted(floors.keys() | ran.keys()):
        floor = floors.get(folder)
        print(f"{folder:20} {ran[folder]:6} tests, floor {floor}")
        if floor is None:
            complaints.append(f"{folder} has no floor; give it a line in .ci/floors")
        elif ran[folder] < floor:
            complaints.append(f"{folder} ran {ran[folder]} tests, its floor is {floor}")
    for complaint in complaints:
        print(f"CI: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
