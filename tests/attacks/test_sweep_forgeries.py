"""A certificate of a sweep cannot shed the price of its grid."""

from pathlib import Path

import pytest

from pacbound.bits.message import pack
from pacbound.bounds.claims import RiskEstimate
from pacbound.bounds.table import theorem
from pacbound.certificate import Certificate, DataRecord
from pacbound.certificate.accounting import complete
from pacbound.certificate.sweep import SweepOption, SweepRecord
from pacbound.specs.specs import BaseOrigin
from tests.forge import Document, Edit, caught, forge, spec_of, symbols_of

SEEDS = SweepOption(name="seed", values=("0", "1"))
FILES = SweepOption(name="checkpoint", values=("a" * 64, "b" * 64, "c" * 64))


def certificate() -> Certificate:
    """One of six runs over two seeds and three files, in the second sweep with a price."""
    base = BaseOrigin(kind="checkpoint", sha256="b" * 64, values="d" * 64, disjoint=True)
    spec = spec_of(64, 1, base=base)
    data = DataRecord(name="things", digest="a" * 64, n=60000, classes=10, distinct=60000)
    runs = tuple((s, f) for s in range(2) for f in range(3))
    sweep = SweepRecord(method="subspace", options=(SEEDS, FILES), runs=runs, chosen=4, number=2)
    message, coded = pack(spec, symbols_of(64, 1))
    ledger = complete(coded, spec, data.name, data.digest, sweep=sweep)
    risk = RiskEstimate(errors=900, n=data.n, loss="zero_one", data_digest=data.digest)
    bound = theorem("occam_binomial")(900, data.n, ledger.bits, 0.05)
    return Certificate.issue(
        bound=bound, risk=risk, ledger=ledger, message=message, data=data, hypothesis=spec, sweep=sweep
    )


def free_entry(d: Document) -> None:
    for entry in d["ledger"]:
        if entry["item"] == "sweep":
            entry["bits"] = 0


def without_entry(d: Document) -> None:
    d["ledger"] = [entry for entry in d["ledger"] if entry["item"] not in ("sweep", "grid")]


def fewer_runs(d: Document) -> None:
    d["sweep"] |= {"runs": [[1, 1]], "chosen": 0}
    del d["sweep"]["number"]


EDITS: dict[str, tuple[Edit, str, str]] = {
    "the price is lowered": (free_entry, "message", "ledger"),
    "the price is left out": (without_entry, "message", "ledger"),
    "the grid is left out": (lambda d: d.pop("sweep"), "message", "ledger"),
    "the grid is one run": (fewer_runs, "message", "ledger"),
    "it was an earlier sweep": (lambda d: d["sweep"].update(number=1), "message", "ledger"),
    "the files were rates": (lambda d: d["sweep"]["options"][1].update(name="rate"), "arithmetic", "schema"),
    "a run of another seed": (lambda d: d["sweep"].update(chosen=1), "arithmetic", "sweep"),
    "a run of another file": (lambda d: d["sweep"].update(chosen=5), "arithmetic", "sweep"),
}


def test_the_honest_one_stands_and_pays(tmp_path: Path) -> None:
    made = certificate()
    made.save(tmp_path / "c.json")
    assert caught(tmp_path / "c.json") is None
    (paid,) = [entry for entry in made.entries if entry.item == "sweep"]
    assert (paid.kind, paid.bits) == ("choice", 5)  # 3 files, 2 * 3 shares of delta
    assert any("fixed before the sample was seen" in sentence and "grid" in sentence for sentence in made.declarations)
    assert Certificate.from_json(made.to_json()) == made


@pytest.mark.parametrize("name", EDITS)
def test_each_forgery_is_caught(name: str, tmp_path: Path) -> None:
    edit, level, check = EDITS[name]
    path = forge(certificate(), edit, tmp_path / "f.json", consistent=True)
    assert caught(path) == (level, check)


def test_a_draw_or_a_comparison_is_no_run_of_a_grid(tmp_path: Path) -> None:
    def drawn(d: Document) -> None:
        d["hypothesis"]["quantizer"] = {"kind": "draw", "scale_index": 68, "index": 1, "sha256": "e" * 64, "size": 9}
        d["hypothesis"]["code"] = None
        d["bound"]["theorem"] = "single_draw"
        d["ledger"].append({"item": "log density ratio", "bits": 5, "kind": "derived", "why": "w"})

    path = forge(certificate(), drawn, tmp_path / "f.json", consistent=True)
    assert caught(path, "arithmetic") == ("arithmetic", "sweep")
