import pytest

from pacbound.reports.tables import Column, latex_table, latex_text, markdown_table, markdown_text, text_table, wrapped

TABLE = (
    Column("name", ("a_1", "long & odd"), True),
    Column("bits", ("2,081", "7")),
    Column("kind", ("x|y", ""), True),
)


def test_figures_stand_right_and_text_left() -> None:
    assert text_table(TABLE, 80) == [
        "name         bits  kind",
        "a_1         2,081  x|y",
        "long & odd      7",
    ]


def test_what_does_not_fit_goes_below_with_the_names_again() -> None:
    assert text_table(TABLE, 20) == [
        "name         bits",
        "a_1         2,081",
        "long & odd      7",
        "",
        "name        kind",
        "a_1         x|y",
        "long & odd",
    ]


@pytest.mark.parametrize("width", [20, 30, 41, 80, 200])
def test_no_line_is_wider_and_no_cell_is_lost_or_broken(width: int) -> None:
    table = (Column("n", ("r1", "r2"), True), *(Column(f"column {k}", (f"{k}", f"{10**k}")) for k in range(7)))
    lines = text_table(table, width, "  ")
    assert max(len(line) for line in lines) <= width
    text = "\n".join(lines)
    for k in range(7):
        assert text.count(f"column {k}") == 1
    assert [word for k in range(7) for word in (str(10**k),) if word not in text.split()] == []


def test_a_single_column_that_is_too_wide_sticks_out_rather_than_being_cut() -> None:
    assert text_table((Column("n", ("x" * 30,), True),), 20) == ["n", "x" * 30]


@pytest.mark.parametrize("width", [20, 33, 80])
def test_sentences_break_at_spaces_only(width: int) -> None:
    sentence = "the error of the decoded network is at most 6.09 %, with well-defined words"
    lines = wrapped(sentence, width, "- ", "  ")
    assert max(len(line) for line in lines) <= width
    assert " ".join(line[2:] for line in lines) == sentence


@pytest.mark.parametrize("width", range(20, 60))
def test_a_percent_sign_stays_with_its_figure(width: int) -> None:
    sentence = "new data from the same source is at most 29.32 %, and 8.62 % (confidence 95 %) of the test set"
    lines = wrapped(sentence, width)
    assert max(len(line) for line in lines) <= width
    assert not [line for line in lines if line.startswith("%")]
    assert " ".join(lines) == sentence


def test_a_long_word_breaks_after_its_punctuation_or_not_at_all() -> None:
    text = "layers c4k5-R-A3-c8k5-R-A3-L10-R-L10 end"
    lines = wrapped(text, 24)
    assert max(len(line) for line in lines) <= 24
    assert [line[-1] for line in lines[:-1]] == ["-"] * (len(lines) - 1)
    assert "".join(lines) == text
    assert wrapped("ab" * 32, 40) == ["ab" * 32]
    assert wrapped("", 40) == [""]


def test_markdown_and_latex_hold_every_cell_escaped() -> None:
    assert markdown_table(TABLE)[:2] == ["| name | bits | kind |", "|---|---:|---|"]
    assert markdown_table(TABLE)[2:] == [r"| a\_1 | 2,081 | x\|y |", r"| long \& odd | 7 |  |"]
    latex = latex_table(TABLE)
    assert latex[0] == r"\begin{tabular}{lrl}"
    assert latex[3] == r"\hline"
    assert r"long \& odd & 7 &  \\" in latex
    assert latex[-1] == r"\end{tabular}"
    assert latex_text("6 % of {a}") == r"6\,\% of \{a\}"
    assert markdown_text("<b>`x`") == r"\<b\>\`x\`"
