import pytest

from pacbound.certificate import Certificate, Environment
from pacbound.reports.exports.annex_iv import annex_iv
from pacbound.reports.exports.subject import Exported
from pacbound.reports.shared import UNSEEN
from pacbound.reports.show import FORMATS, NOT_SAID, render
from pacbound.specs.specs import BaseOrigin, SplitSpec
from tests.forge import honest

SPLIT = SplitSpec(seed=0, parts=32, whole=120_000, digest="3" * 64, size=10)

PEOPLE = [name for name in FORMATS if name != "json"]


def plain(text: str) -> str:
    """Undo escapes and thin spaces."""
    return text.replace("\\,", " ").replace("\\", "")


@pytest.mark.parametrize("name", PEOPLE)
def test_everything_that_a_reader_needs_is_in_every_format(name: str) -> None:
    certificate = honest(note="a copy of the original")
    text = plain(render(certificate, name))  # type: ignore[arg-type]
    assert certificate.statement in text
    assert "900 of 60,000 (1.5 %)" in text
    assert "100 of 10,000 (1 %)" in text
    assert "bound from the test set" in text
    assert "50,000 of 60,000 (83.34 %)" in text
    assert "a copy of the original" in text
    assert "mnist" in text
    assert "generator from seed" in text
    assert certificate.digest in text.replace(" ", "")
    assert f"{certificate.ledger.bits:,}" in text
    for sentence in (*NOT_SAID, *certificate.declarations):
        assert sentence in text
    for entry in certificate.entries:
        assert any(entry.item in line and str(entry.bits) in line and entry.why in line for line in text.splitlines())


def test_json_is_the_document_itself() -> None:
    certificate = honest()
    assert Certificate.from_json(render(certificate, "json").encode()) == certificate


@pytest.mark.parametrize("name", PEOPLE)
def test_a_certificate_that_does_not_stand_opens_with_a_warning(name: str) -> None:
    broken = honest().model_copy(update={"digest": "0" * 64})
    first = render(broken, name).splitlines()[0]  # type: ignore[arg-type]
    assert "WARNING" in first
    assert "digest" in first
    assert "WARNING" not in render(honest(), name)  # type: ignore[arg-type]


def test_latex_and_markdown_cannot_be_steered_by_a_note() -> None:
    certificate = honest(note=r"\input{/etc/passwd} 100% #1 $x$ a_b^c~ {&} <script>| `x` [y](z)")
    latex = render(certificate, "latex")
    assert r"\textbackslash{}input\{/etc/passwd\} 100\% \#1 \$x\$ a\_b\textasciicircum{}c\textasciitilde{}" in latex
    markdown = render(certificate, "markdown")
    assert r"\<script\>\| \`x\` \[y\](z)" in markdown


def test_a_loss_that_is_no_count_prints_as_a_number_rounded_up() -> None:
    text = render(honest(errors=900.125, loss="square"))
    assert "900.125 of 60,000 (0.0151)" in text


def test_every_row_of_a_markdown_table_has_the_same_number_of_cells() -> None:
    rows = [line for line in render(honest(note="a | b"), "markdown").splitlines() if line.startswith("|")]
    cells = {line.replace("\\|", "").count("|") for line in rows}
    assert cells == {3, 5}


def test_latex_braces_balance_and_environments_close() -> None:
    latex = render(honest(note="{ } {"), "latex")
    bare = latex.replace("\\{", "").replace("\\}", "")
    assert bare.count("{") == bare.count("}")
    assert latex.count(r"\begin{") == latex.count(r"\end{")


def test_the_zero_hypothesis_is_shown_in_words() -> None:
    zero = honest().hypothesis.model_copy(update={"projector": None, "quantizer": None, "code": None})
    text = render(honest().model_copy(update={"hypothesis": zero}))
    assert "lenet; w = 0: nothing was added to theta0, which is the network itself" in text


@pytest.mark.parametrize("name", PEOPLE)
def test_the_core_digest_is_printed_with_what_it_leaves_out(name: str) -> None:
    text = plain(render(honest(), name))  # type: ignore[arg-type]
    assert honest().core_digest in text.replace(" ", "")
    assert "of all but versions, seconds and notes" in text
    later = honest().model_copy(update={"environment": Environment(seconds={"fit": 2.5})})
    assert honest().core_digest in plain(render(later, name)).replace(" ", "")  # type: ignore[arg-type]


def test_a_network_of_ones_own_is_named_by_its_layout() -> None:
    own = honest().hypothesis.model_copy(update={"model": "user"})
    assert "the user's own, layout 11111111, D = " in render(honest().model_copy(update={"hypothesis": own}))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_text_of_a_width_breaks_between_words_only(width: int) -> None:
    broken, whole = render(honest(note="word " * 60), width=width), render(honest(note="word " * 60))
    lines = broken.splitlines()
    assert max(len(line) for line in lines if len(line.split()) > 1) <= width
    assert [line for line in lines if len(line) > width and len(line.strip()) != 64] == []
    assert broken.split() == whole.split()


@pytest.mark.parametrize(
    ("base", "handed_over"),
    [
        (BaseOrigin(seed=3), False),
        (BaseOrigin(kind="split", sha256="1" * 64, split=SPLIT), False),
        (BaseOrigin(kind="split", sha256="1" * 64, split=SPLIT.model_copy(update={"start": "2" * 64})), True),
        (BaseOrigin(kind="checkpoint", sha256="1" * 64, values="2" * 64, disjoint=True), True),
        (BaseOrigin(kind="values", sha256="1" * 64), True),
    ],
)
def test_a_held_out_figure_says_its_condition_where_weights_came_from_elsewhere(
    base: BaseOrigin, handed_over: bool
) -> None:
    """A theta0 that was trained on a share may have begun from weights that saw the held-out examples."""
    spec = honest().hypothesis.model_copy(update={"base": base})
    certificate = honest().model_copy(update={"hypothesis": spec})
    exported = Exported("c.json", "0" * 64, certificate, "")
    for text in (render(certificate), annex_iv(exported)):
        assert (UNSEEN in text) == handed_over
