"""What a notebook shows of each record: escaped, complete, and as a frame where pandas is there."""

import subprocess
import sys
from html.parser import HTMLParser

import pytest

from pacbound.bits.ledger import Ledger
from pacbound.bounds.table import all_bounds
from pacbound.errors import RequestError
from pacbound.notebook import frame, html_table
from pacbound.reports.compare import compare
from pacbound.verification.verification import verify
from tests.forge import honest


class Cells(HTMLParser):
    """Text of the cells, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def test_a_ledger_shows_every_entry_and_the_sum() -> None:
    ledger = Ledger().charge("symbols", 1200, why="range coded").declare("task", "fixed <before>")
    assert Cells(ledger._repr_html_()).rows == [
        ["item", "bits", "kind", "why"],
        ["symbols", "1,200", "counted", "range coded"],
        ["task", "0", "declared", "fixed <before>"],
        ["sum", "1,200", "", ""],
    ]
    assert [entry.item for entry in ledger] == ["symbols", "task"]


def test_a_bound_table_shows_every_theorem_rounded_up() -> None:
    bounds = all_bounds(3, 100, 5, 0.05)
    rows = Cells(bounds._repr_html_()).rows[1:]
    assert [row[0] for row in rows] == [one.theorem for one in bounds]
    assert all(one.value <= float(row[1]) <= one.value + 1e-6 for one, row in zip(bounds, rows, strict=True))


def test_a_certificate_shows_its_statement_and_whether_it_stands() -> None:
    shown = honest()._repr_html_()
    assert honest().statement in shown
    assert "DOES NOT STAND" not in shown
    assert honest().digest in shown
    assert "DOES NOT STAND: digest" in honest().model_copy(update={"digest": "0" * 64})._repr_html_()
    assert len(repr(honest())) < 400


def test_a_verification_shows_what_passed_what_failed_and_what_was_not_checked() -> None:
    good = verify(honest(), level="message")
    rows = Cells(good._repr_html_()).rows[1:]
    assert [row[0] for row in rows if row[1] == "passed"] == list(good.passed)
    assert [row[0] for row in rows if row[1] == "not checked"] == list(good.unchecked)
    bad = verify(honest().model_copy(update={"digest": "0" * 64}), level="arithmetic")
    assert "DOES NOT STAND" in bad._repr_html_()
    assert repr(good) == f"Verification({good.name} stands, at level {good.level}; {len(good.passed)} checks passed)"
    assert repr(bad) == f"Verification({bad.name} DOES NOT STAND, at level {bad.level}; check 'digest' failed)"
    assert [row[0] for row in Cells(bad._repr_html_()).rows if row[1].startswith("FAILED")] == ["digest"]


def test_a_comparison_shows_its_table_and_what_it_means() -> None:
    found = compare([("a", honest()), ("b", honest(count=100, errors=600))])
    shown = Cells(found._repr_html_())
    names = [row[0] for row in shown.rows]
    assert names.index("b") < names.index("a")
    assert "Each bound holds alone" in found._repr_html_()
    pytest.importorskip("pandas", reason="pandas is not installed")
    assert list(found.frame()["name"]) == ["b", "a"]
    assert list(found.frame()["bits"]) == [row.bits for row in found.rows]


def test_no_text_becomes_markup() -> None:
    shown = html_table(["<b>"], [["<script>x</script>"]], "a & b", "<i>")
    assert "<script>" not in shown
    assert "&lt;b&gt;" in shown
    assert "a &amp; b" in shown


def test_frames_have_a_line_for_each_thing() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    ledger = honest().ledger
    assert list(ledger.frame()["bits"]) == [entry.bits for entry in ledger]
    assert int(ledger.frame()["bits"].sum()) == ledger.bits
    bounds = all_bounds(3, 100, 5, 0.05)
    assert list(bounds.frame()["value"]) == [one.value for one in bounds]
    checked = verify(honest(), level="arithmetic")
    assert list(checked.frame()["check"]) == [*checked.passed, *checked.unchecked]


def test_without_pandas_a_frame_is_refused_and_all_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RequestError, match="pandas is not installed"):
        frame({"a": [1]})
    assert Ledger()._repr_html_().startswith("<table>")


def test_showing_loads_no_pandas() -> None:
    program = (
        "import sys\nfrom pacbound.bits.ledger import Ledger\nfrom pacbound.bounds.table import all_bounds\n"
        "Ledger()._repr_html_(); all_bounds(1, 10, 0, 0.05)._repr_html_(); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
