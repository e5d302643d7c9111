"""How often a sample was looked at where every look has a share of delta: draws, comparisons on unlabelled inputs, and
sweeps with a price.

Who certifies says how many looks went before; a record beside the certificates keeps them across runs, so that a number
said once need not be counted by hand again, and one said too low is put right. A look that is repeated, as in a resumed
run, is the same look.
"""

import json
from pathlib import Path
from typing import Literal

from ..errors import StateError, without_file

RECORD = "pacbound-looks.jsonl"  # one line a look: kind, digest of the sample, what was looked at, its number


def looks_beside(state: Path | None) -> Path | None:
    """Return the record in the folder of a state, which is that of the certificate; None where nothing is kept."""
    return None if state is None else state.with_name(RECORD)


def number_of_look(
    record: Path | None, kind: Literal["draw", "comparison", "sweep"], sample: str, what: str, earlier: int
) -> int:
    """Number the look that is about to be taken, and write the number down before the look is.

    Args: record: file of the looks, or None. sample: hex digest of what is looked at. what: hex digest of what is
        evaluated there. earlier: how many looks went before this run, by the user's word.
    Returns: the number that this look has, if it was taken before; else 1 more than all that were said or recorded.
    Raises: StateError where the record cannot be read or written.
    """
    if record is None:
        return 1 + earlier
    try:
        lines = record.read_text("utf-8").splitlines() if record.exists() else []
        taken = [json.loads(line) for line in lines]
        here = {look["what"]: int(look["number"]) for look in taken if (look["kind"], look["sample"]) == (kind, sample)}
        if what in here:
            return here[what]
        number = 1 + max(earlier, *here.values(), 0)
        record.parent.mkdir(parents=True, exist_ok=True)
        with record.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "sample": sample, "what": what, "number": number}) + "\n")
    except (OSError, ValueError, KeyError, TypeError) as cause:
        why = without_file(cause)
        raise StateError(
            f"looks: {record.name} holds one JSON object a line, in a folder that can be written to, got: {why}. "
            "Put it right: without it nobody knows how many looks there were."
        ) from None
    return number
