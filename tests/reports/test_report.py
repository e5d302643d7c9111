"""The report as a page: whole, the same each time, open without a network, and honest about what does not stand."""

import hashlib
import inspect
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pacbound.bounds.claims import Measure
from pacbound.bounds.table import theorem
from pacbound.certificate import Certificate
from pacbound.data.altered import split_alteration
from pacbound.data.registry import DATA_SETS
from pacbound.errors import CertificateError
from pacbound.reports.complaint import complaint
from pacbound.reports.report import report
from pacbound.reports.words import checking
from tests.forge import forge, honest

pytest.importorskip("matplotlib", reason="the report extra is not installed")

REPOSITORY = Path(__file__).parents[2]
MNIST = sorted((REPOSITORY / "results" / "mnist").glob("*.json"))[:2]
OUTSIDE = re.compile(r"""(?:src|href|url|srcset|data|action|poster)\s*[=(]\s*["']?\s*(?!#)[^"'#)\s]""", re.IGNORECASE)
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; complains where tags do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def broken() -> Certificate:
    """A certificate whose bound was made smaller by hand."""
    stated = honest().stated_bound.model_copy(update={"value": 0.001})
    return honest().model_copy(update={"stated_bound": stated})


def layered() -> Certificate:
    measure = Measure(
        name="stable_rank", value=2.5, unit="ratio", per_layer={"conv1": 1.5, "fc": 3.5}, reference="", verified=True
    )
    return honest().with_measures((measure,))


@pytest.fixture(scope="module")
def several() -> str:
    """A page about four certificates of one sample, one of another, one that does not stand, and a file of notes."""
    named = [
        ("a", honest()), ("b", honest(count=100, errors=600)), ("far", honest(name="own", digest="b" * 64)),
        ("forged", broken()),
    ]  # fmt: skip
    return report(named, [("notes.json", "Certificate: it is a list <b>")]).html()


@pytest.fixture(scope="module")
def mnist() -> str:
    assert len(MNIST) == 2
    return report([(file.stem, Certificate.load(file)) for file in MNIST]).html()


@pytest.fixture(scope="module")
def single() -> str:
    return report([("one", layered())], whole=False).html()


@pytest.fixture(params=["several", "mnist", "single"])
def page(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_a_page_is_whole_small_and_needs_nothing_from_outside(page: str) -> None:
    found = Page(page)
    names = {tag for tag, _ in found.tags}
    assert names & {"script", "link", "img", "iframe", "object", "embed", "base"} == set()
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert OUTSIDE.findall(page) == []
    assert re.findall(r"https?://(?!www\.w3\.org/(?:2000/svg|1999/xlink))", page) == []
    assert "@import" not in page
    policy = next(a["content"] for t, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert len(page.encode()) < 3_000_000


def test_a_page_says_what_it_shows_to_whoever_does_not_see_it(page: str) -> None:
    found = Page(page)
    assert ("html", {"lang": "en"}) in found.tags
    assert any(a.get("name") == "viewport" and "width=device-width" in a["content"] for t, a in found.tags)
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    figures = [a for t, a in found.tags if t == "svg"]
    assert figures
    assert all(a["role"] == "img" and a["aria-labelledby"] in ids for a in figures)
    inside = re.findall(r'(?:href="#|url\(#)([^")]+)', page)
    assert set(inside) <= set(ids)
    assert page.count("<h1>") == 1
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_page_is_valid_html(page: str) -> None:
    html5lib = pytest.importorskip("html5lib", reason="html5lib is not installed")
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(page)
    assert [code for _, code, _ in parser.errors] == []


def test_a_page_follows_dark_mode_print_and_phones(page: str) -> None:
    for query in ("prefers-color-scheme: dark", "@media print", "max-width: 30rem"):
        assert query in page
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) <= {"#ffffff"}  # every colour is one of the style sheet


def test_what_a_reader_needs_is_there(single: str) -> None:
    certificate, text = layered(), " ".join(Page(single).text.split())
    assert certificate.statement in text
    assert "On the 60,000 examples of the sample its error is 1.5 % (900 of 60,000)." in text
    assert "at most 5 % before it was drawn" in text
    for entry in certificate.entries:
        assert f"{entry.item} {entry.bits:,} {entry.kind} {entry.why}" in text
    assert "stable_rank, layer by layer" in text
    assert certificate.data.digest in text
    assert certificate.digest in text
    assert certificate.core_digest in text
    assert "numpy 2.1.0" in text
    assert "pacbound verify one.json --data mnist" in text
    for what in ("half the bits", "no errors at all", "What it does not say", "What is declared, and by whom"):
        assert what in text


def test_what_would_move_the_bound_is_the_theorem_s(single: str) -> None:
    text = " ".join(Page(single).text.split())
    certificate = honest()
    bound = theorem("occam_binomial")
    half = 100 * bound(900, 60000, certificate.ledger.bits // 2, 0.05).value
    none = 100 * bound(900, 60000, 0, 0.05).value
    printed = [float(text.split(f"{what} ")[1].split()[0]) for what in ("half the bits", "sample alone costs")]
    assert all(exact <= shown < exact + 0.01 for exact, shown in zip((half, none), printed, strict=True))


def test_what_does_not_stand_is_marked_and_in_no_ranking(several: str) -> None:
    start = several.index('id="overview"')
    ranking = several[start : several.index("</section>", start)]
    assert "forged" not in ranking
    assert 'id="unread"' in several
    text = " ".join(Page(several).text.split())
    assert "forged : DOES NOT STAND" in text
    assert text.index("b : at most") < text.index("a : at most") < text.index("forged : DOES NOT STAND")
    part = text[text.index("This certificate does not stand.") :]
    assert part.startswith("This certificate does not stand. digest: the digest is not that of the content")
    assert "In plain words" not in part
    assert "No frontier: the certificate does not stand." in part
    assert "notes.json" in text


def test_a_message_that_was_changed_does_not_stand_though_its_arithmetic_does(tmp_path: Path) -> None:
    other = honest(seed=1).document()["message"]

    def swap(document: dict) -> None:  # type: ignore[type-arg]
        document["message"] = {**document["message"], "payload": other["payload"]}

    forged = Certificate.load(forge(honest(), swap, tmp_path / "a.json"))
    assert complaint(honest()) == ""
    assert complaint(forged).split(":")[0] in ("decode", "hypothesis", "ledger")
    found = report([("forged", forged), ("good", honest())])
    assert [one.name for one in found.subjects if one.stands] == ["good"]
    assert found.comparison is not None
    assert [row.name for row in found.comparison.rows] == ["good"]


def test_nothing_of_a_certificate_becomes_markup() -> None:
    certificate = honest(note="<script>alert(1)</script> & {{ 7 * 7 }} [x](y)")
    page = report([("<i>name</i>", certificate)], title="<b>").html()
    assert "<script" not in page
    assert "<i>name" not in page
    assert "{{ 7 * 7 }}" in Page(page).text
    written = report([("one", certificate)]).markdown()
    assert "<script>" not in written.replace("\\<", "")
    assert r"\[x\](y)" in written


def print_digests(*files: str) -> None:
    """Of the page and the text of a report; what is needed is imported here, since another process runs this alone."""
    import hashlib
    from pathlib import Path

    from pacbound.certificate import Certificate
    from pacbound.reports.report import report

    found = report([(Path(file).stem, Certificate.load(file)) for file in files])
    for written in (found.html(), found.markdown()):
        print(hashlib.sha256(written.encode()).hexdigest())


def test_the_same_certificates_give_the_same_bytes_in_another_process(mnist: str, tmp_path: Path) -> None:
    call = f"print_digests({', '.join(repr(str(file)) for file in MNIST)})"
    run = subprocess.run(
        [sys.executable, "-c", inspect.getsource(print_digests) + call], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path), "PATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip
    text = report([(file.stem, Certificate.load(file)) for file in MNIST]).markdown()
    assert run.stdout.split() == [hashlib.sha256(written.encode()).hexdigest() for written in (mnist, text)]


def test_markdown_says_the_same_without_figures() -> None:
    text = report([("a", honest()), ("b", honest(count=100)), ("forged", broken())]).markdown().replace("\\", "")
    assert honest().statement in text
    assert "- forged: **DOES NOT STAND**" in text
    assert "## Side by side" in text
    assert "pacbound verify a.json --data mnist" in text
    assert "<svg" not in text
    rows = [line for line in text.splitlines() if line.startswith("| symbols")]
    assert len(rows) == 3


def test_a_notebook_shows_the_page_in_a_frame_of_its_own() -> None:
    found = report([("forged", broken())])  # of which nothing is drawn but its bits
    (tag, attributes) = Page(found._repr_html_()).tags[0]
    assert tag == "iframe"
    assert attributes["srcdoc"] == found.html()


def test_a_report_becomes_a_frame() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = report([("a", honest()), ("forged", broken())]).frame()
    assert list(frame["name"]) == ["a", "forged"]
    assert list(frame["stands"]) == [True, False]
    assert list(frame["bound"]) == [honest().stated_bound.value, 0.001]


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_nothing_and_doubled_names_are_refused(names: list[str]) -> None:
    with pytest.raises(CertificateError, match="each under its own name"):
        report([(name, honest()) for name in names])


def test_without_matplotlib_the_page_is_refused_and_markdown_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = report([("a", honest())])
    with pytest.raises(CertificateError, match=r"Install pacbound\[report\]"):
        found.html()
    assert "# lenet on mnist" in found.markdown()


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("equivariance/10_000_of_mnist_rotated-plain-seed_0", "mnist+rotated"),
        ("small/usps_like-seed_0", "DATA"),  # called mnist.16x16 by whoever made the pictures smaller
        ("mnist/seed_0", "mnist"),
    ],
)
def test_a_reader_is_sent_to_data_that_can_be_loaded(file: str, data: str) -> None:
    found = checking(Certificate.load(REPOSITORY / "results" / f"{file}.json"), "mine.json")
    words = found.command.split()
    assert words[words.index("--data") + 1] == data
    assert any("called mnist.16x16" in line for line in found.fill_in) == (data == "DATA")
    assert data == "DATA" or split_alteration(data)[0] in DATA_SETS
