"""Certificates of language models from text to verification: true where the source is known, refused where forged."""

import copy
import json
import math
from fractions import Fraction
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.certificate.export import language_schema_text
from pacbound.certificate.language import LanguageCertificate, TextRecord
from pacbound.certificate.language_statement import bits_a_byte, bits_a_byte_up, bits_up, write_language_statement
from pacbound.errors import DataError, PacboundError, RequestError
from pacbound.methods import language
from pacbound.methods.language import certify_language, encode
from pacbound.networks.hypothesis import Hypothesis
from pacbound.request.request import Request
from pacbound.specs.language import KAPPAS
from pacbound.verification.language_losses import rebuild_language_base
from pacbound.verification.verification import verify
from tests.forge import Document, forge
from tests.markov import CHAIN, LETTERS, save_text, states

N = 4000
QUICK = {"task": "lm", "model": "E4-W2-L", "alphabet": "ascii97", "epochs": 40, "context": 16, "seed": 3}


def made(folder, n: int = N, **options: object) -> tuple[str, LanguageCertificate]:
    path = str(save_text(folder, n))
    request = Request.model_validate({**QUICK, "data": path, **options})
    return path, certify_language(request, progress=False)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory) -> tuple[str, LanguageCertificate]:
    """A certificate of a stream, the last tenth held out."""
    return made(tmp_path_factory.mktemp("stream"), held_out=0.1)


@pytest.fixture(scope="module")
def positioned(tmp_path_factory) -> tuple[str, LanguageCertificate]:
    return made(tmp_path_factory.mktemp("positions"), statement="positions", positions=1000, epochs=10)


@pytest.fixture(scope="module")
def documented(tmp_path_factory) -> tuple[str, LanguageCertificate]:
    options = {"statement": "documents", "separator": "\\n", "repeats": "lines of the source are short"}
    return made(tmp_path_factory.mktemp("documents"), 2000, epochs=10, **options)


def by_hand(certificate: LanguageCertificate, symbols: list[int]) -> np.ndarray:
    """Smoothed distributions (n, symbols that occur) after each window's past, every position in a row of its own."""
    network = Hypothesis.unpack(
        certificate.payload(), certificate.hypothesis, rebuild_language_base(certificate, None)
    ).network()
    prediction, size = certificate.prediction, certificate.text.alphabet.size
    window, step = prediction.window, prediction.step
    pasts: dict[int, dict[int, list[int]]] = {}  # by length
    for i in range(len(symbols)):
        begin = 0 if i < window else step * ((i - window) // step + 1)
        pasts.setdefault(i - begin, {})[i] = [0, *symbols[begin:i]]
    p = np.empty((len(symbols), certificate.text.alphabet.predicted))
    for rows in pasts.values():
        with torch.no_grad():
            p[list(rows)] = network(torch.tensor(list(rows.values())))[:, -1].double().softmax(-1).numpy()
    return (1 - prediction.smoothing) * p + prediction.smoothing / size


def test_the_stream_bound_lies_above_the_known_risk_and_the_empirical_loss_below(streamed):
    """The source's own probabilities give the risk after each past; the text's symbols give the mean loss."""
    _, certificate = streamed
    numbers = states(N)[: certificate.losses.n]
    places = [sorted(LETTERS).index(b) for b in LETTERS]  # the listing is in order of bytes
    smoothed = by_hand(certificate, [places[s] for s in numbers])
    losses = -np.log2(smoothed)[:, places]  # columns by letter
    risk = (CHAIN[np.concatenate([[3], numbers[:-1]])] * losses).sum(1).mean()
    empirical = losses[np.arange(len(numbers)), numbers].mean()
    assert empirical < certificate.mean < empirical + 2e-4
    assert risk < certificate.stated_bound.value < 3.3  # log2 97 = 6.6
    assert certificate.stated_bound.value > certificate.mean
    entropies = -(smoothed * np.log2(smoothed)).sum(1)
    rest = certificate.text.alphabet.size - 4
    floor = certificate.prediction.smoothing / certificate.text.alphabet.size
    entropies -= rest * floor * math.log2(floor)
    centres = KAPPAS[certificate.prediction.kappa or 0] * entropies
    x = losses[np.arange(len(numbers)), numbers]
    rate = certificate.stated_bound.rate or 0.1
    value = (centres - np.log(1 - rate * (x - centres)) / rate).mean()
    nats = certificate.ledger.bits * math.log(2) + math.log(37 / 0.05)
    assert value + nats / (rate * len(x)) == pytest.approx(certificate.stated_bound.value, abs=3e-4)


def test_a_ledger_pays_network_alphabet_smoothing_centre_and_windows(streamed):
    _, certificate = streamed
    bits = {entry.item: entry.bits for entry in certificate.entries if entry.kind == "choice"}
    assert bits == {"alphabet": 97, "smoothing": 3, "centre": 1, "windows": 6, "package defaults": 8}
    assert certificate.ledger.bits_of("counted") == certificate.message.bits
    assert sum(e.bits for e in certificate.entries if e.item.startswith(("0.", "1.", "2."))) > 200


def test_what_stands_beside_a_stream(streamed):
    _, certificate = streamed
    assert [one.name for one in certificate.predictors] == ["uniform", "unigram", "bigram", "n-gram", "held_out"]
    held = certificate.predictors[-1]
    assert held.n == N - certificate.losses.n
    assert held.bits == 0
    assert held.mean < held.value
    by = {one.theorem: one.value for one in certificate.also if one.kind == "form"}
    assert set(by) == {"stream_catoni", "stream_hoeffding"}
    assert certificate.stated_bound.value < by["stream_hoeffding"]


def test_the_positions_bound_lies_above_the_average_of_the_whole_corpus(positioned):
    _, certificate = positioned
    numbers = states(N)
    places = [sorted(LETTERS).index(b) for b in LETTERS]
    symbols = [places[s] for s in numbers]
    network = Hypothesis.unpack(
        certificate.payload(), certificate.hypothesis, rebuild_language_base(certificate, None)
    ).network()
    window, alpha = certificate.prediction.window, certificate.prediction.smoothing
    with torch.no_grad():
        rows = torch.tensor([[0, *symbols[i - window + 1 : i]] for i in range(window, N)])
        p = network(rows)[:, -1].double().softmax(-1).numpy()
    losses = -np.log2((1 - alpha) * p[np.arange(len(p)), symbols[window:]] + alpha / 97)
    assert losses.mean() < certificate.stated_bound.value
    assert certificate.mean == pytest.approx(losses.mean(), abs=0.12)
    assert certificate.losses.centre == certificate.prediction.constant


def test_documents_are_told_apart_and_bounded(documented):
    path, certificate = documented
    pieces = Path(path).read_bytes().split(b"\n")
    assert certificate.losses.n == len([piece for piece in pieces if piece])
    assert certificate.stated_bound.theorem == "documents"
    assert certificate.mean < certificate.stated_bound.value
    window = certificate.prediction.window
    assert certificate.units.distinct == len({piece[:window] for piece in pieces if piece}) < len(pieces)
    assert any("lines of the source are short" in one for one in certificate.declarations)


def test_copies_of_documents_are_no_draws(documented, tmp_path):
    """Forty copies of each document, and copies that differ behind what is read, would divide the gap by six."""
    path, certificate = documented
    window = certificate.prediction.window
    texts = sorted({line for line in Path(path).read_bytes().split(b"\n") if len(line) >= window})
    assert len(texts) > 20
    for name, lines in (("copies", texts * 40), ("tails", [line + b"a" * k for k in range(40) for line in texts])):
        copied = tmp_path / f"{name}.txt"
        copied.write_bytes(b"\n".join(lines))
        with pytest.raises(DataError, match="A copy is no draw"):
            certify_language(
                Request.model_validate({**QUICK, "data": str(copied), "statement": "documents", "separator": "\\n"}),
                progress=False,
            )

    def all_distinct(document):
        document["units"]["distinct"] = document["losses"]["n"]

    def unsaid(document):
        del document["units"]["repeats"]

    file = forge(certificate, all_distinct, tmp_path / "distinct.json")
    assert verify(file, level="message").stands
    assert verify(file, level="risk", data=path).failed == "text"
    assert verify(forge(certificate, unsaid, tmp_path / "unsaid.json"), level="arithmetic").failed == "losses"


def test_the_seed_of_positions_is_paid(positioned, tmp_path):
    """Whoever looks at the draws of many seeds and keeps the luckiest pays for its number."""
    _, certificate = positioned
    bits = {entry.item: entry.bits for entry in certificate.entries}
    assert bits["seed of the positions"] == 5  # of 3, by a gamma code
    assert not any("positions" in one and "says the user" in one for one in certificate.declarations)

    def other_seed(document):
        document["units"]["seed"] = 7

    file = forge(certificate, other_seed, tmp_path / "seed.json")
    assert verify(file, level="arithmetic").stands
    assert verify(file, level="message").failed == "ledger"


def test_bytes_that_a_text_does_not_have_make_no_bits_a_byte(positioned, tmp_path):
    """The headline in bits a byte is the one a symbol times symbols over bytes, so that more bytes would lower it."""
    path, certificate = positioned

    def ten_times(document):
        document["text"]["bytes"] *= 10

    file = forge(certificate, ten_times, tmp_path / "bytes.json")
    assert verify(file, level="message").stands
    assert verify(file, level="risk", data=path).failed == "text"


@pytest.mark.parametrize("value", [1e308, 5e-324])
def test_figures_of_any_size_are_printed(value):
    text = TextRecord(
        name="t",
        digest="0" * 64,
        symbols=1 << 40,
        bytes=1,
        alphabet={"kind": "tokenizer", "size": 9, "sha256": "0" * 64},
    )
    assert float(bits_up(value)) >= value
    assert Fraction(bits_a_byte_up(value, text)) >= Fraction(value) * (1 << 40)
    assert bits_a_byte(1 / 3, text.model_copy(update={"bytes": 3})) > Fraction(1 / 3) * (1 << 40) / 3


@pytest.mark.parametrize("name", ["streamed", "positioned", "documented"])
def test_what_was_certified_stands_at_every_level(name, request):
    path, certificate = request.getfixturevalue(name)
    for level in ("arithmetic", "message", "risk"):
        found = verify(certificate, level=level, data=path)
        assert found.stands, found.reason
    assert "held-out losses" not in found.passed or name == "streamed"
    assert ("held-out losses" in found.passed) == (name == "streamed")


def test_a_certificate_is_what_its_file_says(streamed, tmp_path):
    _, certificate = streamed
    certificate.save(tmp_path / "c.json")
    read = LanguageCertificate.load(tmp_path / "c.json")
    assert read == certificate
    jsonschema.validate(json.loads((tmp_path / "c.json").read_text()), json.loads(language_schema_text()))
    assert read.bound.about.startswith("the average, over the pasts of this very stream")


def restate(document: Document, certificate: LanguageCertificate, value: float) -> None:
    document["bound"]["value"] = value
    document["statement"] = write_language_statement(
        value, certificate.stated_bound.delta, document["losses"]["n"], certificate.text, certificate.units
    )


def lower_value(document: Document, certificate: LanguageCertificate) -> None:
    restate(document, certificate, certificate.stated_bound.value - 0.01)


def lower_sums(document: Document, certificate: LanguageCertificate) -> None:
    """Losses that nobody measured: consistent in the document, refused by counting again."""
    sums = document["losses"]
    sums["log_sums"] = [None if one is None else one - 0.05 * sums["n"] for one in sums["log_sums"]]
    restate(document, certificate, certificate.stated_bound.value - 0.04)
    document["also"] = [one for one in document["also"] if one["kind"] != "form"]


def lower_ceiling(document: Document, certificate: LanguageCertificate) -> None:
    document["losses"]["ceiling"] = document["losses"]["ceiling"] - 0.1


def lower_ceilings(document: Document, certificate: LanguageCertificate) -> None:
    """A mean ceiling as low as the mean loss, which no bound exceeds."""
    document["losses"]["ceilings"] = document["losses"]["losses"]
    restate(document, certificate, certificate.mean)


def fewer_bits(document: Document, certificate: LanguageCertificate) -> None:
    entry = next(one for one in document["ledger"] if one["item"] == "alphabet")
    entry["bits"] = 5


def other_alpha(document: Document, certificate: LanguageCertificate) -> None:
    document["prediction"]["alpha"] = 7


def other_alphabet(document: Document, certificate: LanguageCertificate) -> None:
    document["text"]["alphabet"]["occurring"] = f"{(1 << 97) | (1 << 98):064x}"


def more_symbols(document: Document, certificate: LanguageCertificate) -> None:
    document["losses"]["n"] = 10 * document["losses"]["n"]


def no_declaration(document: Document, certificate: LanguageCertificate) -> None:
    document["declarations"] = document["declarations"][1:]


def lower_held_out(document: Document, certificate: LanguageCertificate) -> None:
    document["also"][-1]["value"] -= 0.05


def better_ngram(document: Document, certificate: LanguageCertificate) -> None:
    entry = next(one for one in document["also"] if one.get("name") == "n-gram")
    entry["value"] -= 0.05


def lower_mean(document: Document, certificate: LanguageCertificate) -> None:
    """Exports give the mean on held-out text as its loss."""
    document["also"][-1]["mean"] = 0.5


def lower_mean_of_a_table(document: Document, certificate: LanguageCertificate) -> None:
    entry = next(one for one in document["also"] if one.get("name") == "bigram")
    entry["mean"] = 0.5


def two_held_out(document: Document, certificate: LanguageCertificate) -> None:
    """A second one that nobody counts again: its text is not at hand."""
    other = copy.deepcopy(document["also"][-1])
    other["text"]["digest"] = "0" * 64
    document["also"].append(other)


def two_tables(document: Document, certificate: LanguageCertificate) -> None:
    """One to be checked, and one to be shown."""
    entry = next(one for one in document["also"] if one.get("name") == "bigram")
    document["also"].insert(0, {**entry, "value": 4.0, "mean": 4.0})


def endless(document: Document, certificate: LanguageCertificate) -> None:
    document["bound"]["value"] = 1e308


FORGERIES = [
    (lower_mean, "arithmetic", "other bounds"),
    (lower_mean_of_a_table, "risk", "other predictors"),
    (two_held_out, "arithmetic", "other bounds"),
    (two_tables, "arithmetic", "other bounds"),
    (endless, "arithmetic", "statement"),
    (lower_value, "arithmetic", "bound"),
    (lower_sums, "risk", "losses again"),
    (lower_ceiling, "arithmetic", "losses"),
    (lower_ceilings, "arithmetic", "losses"),
    (fewer_bits, "message", "ledger"),
    (other_alpha, "arithmetic", "losses"),
    (other_alphabet, "risk", None),
    (more_symbols, "arithmetic", "losses"),
    (no_declaration, "arithmetic", "declarations"),
    (lower_held_out, "arithmetic", "other bounds"),
    (better_ngram, "risk", "other predictors"),
]


@pytest.mark.parametrize(("edit", "level", "check"), FORGERIES, ids=lambda one: getattr(one, "__name__", str(one)))
def test_forgeries_are_refused_at_the_first_level_that_sees_them(streamed, tmp_path, edit, level, check):
    path, certificate = streamed
    file = forge(certificate, lambda document: edit(document, certificate), tmp_path / "forged.json")
    found = verify(file, level=level, data=path)
    assert not found.stands
    assert check in (None, found.failed)
    if level == "risk" and check is not None:
        assert verify(file, level="message").stands


def test_a_held_out_text_that_is_given_is_counted_or_refused(streamed, positioned, tmp_path):
    path, certificate = streamed
    assert certificate.predictors[-1].text is not None
    held = tmp_path / "held.txt"
    held.write_bytes(Path(path).read_bytes()[certificate.predictors[-1].text.begin :])
    assert "held-out losses" in verify(certificate, data=path, test=str(held)).passed
    held.write_bytes(held.read_bytes()[::-1])
    assert verify(certificate, data=path, test=str(held)).failed == "held-out text"
    path, certificate = positioned
    with pytest.raises(RequestError, match="names no held-out text"):
        verify(certificate, data=path, test=str(held))


def test_another_text_and_another_network_are_refused(streamed, tmp_path):
    _, certificate = streamed
    other = save_text(tmp_path, N, seed=9)
    assert verify(certificate, level="risk", data=str(other)).failed == "text"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "picks"}, "--method is not for language models"),
        ({"held_out": 0.1, "statement": "documents"}, "are for --statement stream"),
        ({"checkpoint": "x.bin"}, "Add --disjoint"),
        ({"context": 17}, "a power of two, got 17. Take 16"),
        ({"positions": 5}, "is for --statement positions"),
        ({"model": "lenet"}, "starts with E"),
        ({"data": "nowhere.txt"}, "there is no file"),
        ({"disjoint": True}, "is about a checkpoint"),
    ],
)
def test_contradictions_are_refused_before_anything_is_trained(tmp_path, options, match):
    with pytest.raises(PacboundError, match=match):
        made(tmp_path, **options)


def test_a_text_that_changes_during_the_run_is_refused(tmp_path, monkeypatch):
    data = save_text(tmp_path, 1000)

    def train(*arguments: object) -> object:
        with open(data, "r+b") as file:  # the file that is mapped
            file.seek(700)
            letter = file.read(1)
            file.seek(700)
            file.write(b"b" if letter == b"a" else b"a")
        return encode(*arguments)

    monkeypatch.setattr(language, "encode", train)
    with pytest.raises(DataError, match="the file of markov changed during the run"):
        certify_language(Request.model_validate({**QUICK, "data": str(data), "epochs": 10}), progress=False)


def test_language_options_are_refused_elsewhere(tmp_path):
    run = CliRunner().invoke(app, ["certify", "--held-out", "0.1", "-o", str(tmp_path / "c.json")])
    assert run.exit_code != 0
    assert isinstance(run.exception, RequestError)
    assert "--task lm" in str(run.exception)


def test_the_command_writes_shows_and_verifies(tmp_path):
    path, file = str(save_text(tmp_path, 1000)), tmp_path / "c.json"
    options = ["--task", "lm", "--data", path, "--model", "E4-W2-L", "--epochs", "10", "--context", "16"]
    runner = CliRunner()
    run = runner.invoke(app, ["certify", *options, "-o", str(file)])
    assert run.exit_code == 0, run.output
    assert "bits a byte" in run.output
    assert not (tmp_path / "c.json.state").exists()
    for format_ in ("text", "markdown", "latex"):
        shown = runner.invoke(app, ["show", str(file), "--format", format_])
        assert shown.exit_code == 0
        assert "goes on learning" in shown.output
    assert runner.invoke(app, ["verify", str(file), "--data", path]).exit_code == 0


def test_reports_and_tables_of_language_models(streamed, positioned, tmp_path):
    """What a page shows are the certificate's own figures; what does not stand is in no ranking."""
    folder = tmp_path / "several"
    folder.mkdir()
    for name, (_, one) in (("one", streamed), ("two", positioned)):
        one.save(folder / f"{name}.json")
    runner = CliRunner()
    rows = json.loads(runner.invoke(app, ["compare", str(folder), "--json"]).stdout)["language_models"]
    assert [row["bound"] for row in rows] == sorted(one.stated_bound.value for _, one in (streamed, positioned))
    page = tmp_path / "page.html"
    assert runner.invoke(app, ["report", str(folder), "-o", str(page)]).exit_code == 0
    html = page.read_text("utf-8")
    assert streamed[1].statement in html
    assert html.count('<svg class="figure"') == 6
    assert "<script" not in html
    assert "mathdefault" not in html
    file = forge(streamed[1], lambda document: lower_value(document, streamed[1]), folder / "forged.json")
    run = runner.invoke(app, ["compare", str(folder)])
    assert run.exit_code == 1
    assert f"{file} does not stand: bound" in run.stdout.replace("\n", " ")
    assert runner.invoke(app, ["report", str(file), "-o", str(page)]).exit_code == 1
    assert "THIS CERTIFICATE DOES NOT STAND" in page.read_text("utf-8")
    other = runner.invoke(app, ["measure", str(folder / "one.json")])
    assert "about a language model" in str(other.exception)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path):
    path = str(save_text(tmp_path, 3000))
    options = ["--task", "lm", "--data", path, "--model", "E4-W2-L", "--epochs", "100", "--context", "16"]
    run = CliRunner().invoke(app, ["certify", *options, "--dry-run", "-o", str(tmp_path / "c.json")])
    assert run.exit_code == 0
    assert "markov, 3,000 symbols, 3,000 losses" in run.stdout
    assert f"training {round(100 * 3000 / (32 * 64)):,} steps" in run.stdout
    plan = json.loads(CliRunner().invoke(app, ["certify", *options, "--dry-run", "--json"]).stdout)
    assert (plan["text"], plan["symbols"], plan["d"]) == ("markov", 3000, None)
    assert plan["steps"] == round(100 * 3000 / (32 * 64))
    assert not (tmp_path / "c.json").exists()
