"""Fine-tuning for answers, from a checkpoint to verification: true where the source is known, refused where forged."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.bounds.occam import occam_binomial
from pacbound.bounds.occam import test_set as clopper_pearson
from pacbound.certificate.export import language_schema_text
from pacbound.certificate.language import LanguageCertificate
from pacbound.certificate.language_statement import write_language_statement
from pacbound.errors import PacboundError
from pacbound.methods.language import certify_language
from pacbound.networks.hypothesis import Hypothesis
from pacbound.request.request import Request
from pacbound.verification.language_losses import rebuild_language_base
from pacbound.verification.verification import verify
from tests.data.test_llama2c import content
from tests.forge import Document, forge
from tests.killed import whole_and_resumed
from tests.models.test_llama import write

SHAPE = (12, 16, 1, 2, 1, 256, 16)
LETTERS, NOISE, N = "ab", 0.1, 400
OPTIONS = {
    "task": "lm", "statement": "answers", "disjoint": True, "d": 48, "rate": 0.2, "epochs": 8, "context": 8,
    "repeats": "there are two prompts",
}  # fmt: skip


def save_pairs(path: Path, n: int, seed: int) -> str:
    """The answer to a letter is that letter, with probability .1 another."""
    rng, rows = random.Random(seed), []
    for _ in range(n):
        letter = rng.choice(LETTERS)
        other = rng.choice([one for one in LETTERS if one != letter])
        rows.append({"prompt": f"{letter}?", "answer": other if rng.random() < NOISE else letter})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def certified(options: dict[str, Any], **more: object) -> LanguageCertificate:
    return certify_language(Request.model_validate({**OPTIONS, **options, **more}), progress=False)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], LanguageCertificate]:
    folder = tmp_path_factory.mktemp("answers")
    given = {
        "data": save_pairs(folder / "pairs.jsonl", N, 0), "test": save_pairs(folder / "test.jsonl", 300, 1),
        "checkpoint": str(write(folder / "tiny.bin", SHAPE)),
    }  # fmt: skip
    return given, certified(given)


@torch.no_grad()
def written(network: torch.nn.Module, prompt: str) -> str:
    """What greedy decoding writes after a prompt, up to the line end."""
    ids = [0, *prompt.encode()]
    while ids[-1] != 10 and len(ids) < 9:
        ids.append(int(network(torch.tensor([ids]))[0, -1].argmax()))
    return bytes(ids[1 + len(prompt) :]).decode("latin-1")


def test_the_bound_lies_above_the_known_risk_and_the_errors_are_those_of_decoding(answered):
    given, certificate = answered
    base = rebuild_language_base(certificate, given["checkpoint"])
    network = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base).network()
    says = {f"{letter}?": written(network, f"{letter}?") for letter in LETTERS}
    answers = {
        f"{letter}?": {f"{one}\n": 1 - NOISE if one == letter else NOISE for one in LETTERS} for letter in LETTERS
    }
    risk = 1 - sum(answers[prompt].get(said, 0.0) for prompt, said in says.items()) / len(LETTERS)
    rows = [json.loads(line) for line in Path(given["data"]).read_text().splitlines()]
    wrong = sum(says[row["prompt"]] != row["answer"] + "\n" for row in rows)
    assert certificate.errors == wrong
    assert wrong / N < certificate.stated_bound.value
    assert risk < certificate.stated_bound.value < 0.6
    expected = occam_binomial(wrong, N, certificate.ledger.bits, 0.05).value
    assert certificate.stated_bound.value == expected == certificate.bound.value
    assert "share of new prompts" in certificate.statement
    assert "by greedy decoding" in certificate.statement


def test_theta0_and_held_out_pairs_stand_beside_it_and_so_does_the_mean_loss(answered):
    _, certificate = answered
    theta0, held = certificate.beside_answers
    assert (theta0.name, theta0.value, held.name, held.bits, held.n) == ("theta0", 1.0, "held_out", 0, 300)
    assert theta0.bits < 60 < certificate.message.bits
    assert held.value == clopper_pearson(held.errors, 300, 0, 0.05).value
    by = {one.theorem: one.value for one in certificate.also if one.kind == "form"}
    assert set(by) == {"documents", "units_kl"}
    assert certificate.mean < by["documents"]
    declared = " ".join(certificate.declarations)
    for said in ("pairs are independent", "there are two prompts", "disjoint"):
        assert said in declared


def test_what_was_certified_stands_at_every_level_and_in_its_file(answered, tmp_path):
    given, certificate = answered
    for level in ("arithmetic", "message", "risk"):
        found = verify(certificate, level=level, **given)
        assert found.stands, found.reason
    assert {"errors", "theta0", "held-out errors"} <= set(found.passed)
    without = {name: value for name, value in given.items() if name != "test"}
    assert "give it with --test" in " ".join(verify(certificate, level="risk", **without).unchecked)
    certificate.save(tmp_path / "c.json")
    assert LanguageCertificate.load(tmp_path / "c.json") == certificate
    jsonschema.validate(json.loads((tmp_path / "c.json").read_text()), json.loads(language_schema_text()))


def restate(document: Document, certificate: LanguageCertificate) -> None:
    value = occam_binomial(document["errors"], certificate.losses.n, certificate.ledger.bits, 0.05).value
    document["bound"]["value"] = value
    document["statement"] = write_language_statement(
        value, 0.05, certificate.losses.n, certificate.text, certificate.units
    )


def lower_value(document: Document, certificate: LanguageCertificate) -> None:
    document["bound"]["value"] -= 0.01


def fewer_errors(document: Document, certificate: LanguageCertificate) -> None:
    document["errors"] -= 1
    restate(document, certificate)


def no_errors(document: Document, certificate: LanguageCertificate) -> None:
    del document["errors"]


def other_theorem(document: Document, certificate: LanguageCertificate) -> None:
    document["bound"] |= {"theorem": "documents", "value": 9.0}


def no_reason(document: Document, certificate: LanguageCertificate) -> None:
    del document["units"]["repeats"]


def more_prompts(document: Document, certificate: LanguageCertificate) -> None:
    document["units"]["distinct"] = 3


def other_end(document: Document, certificate: LanguageCertificate) -> None:
    document["units"]["separator"] = "21"


def better_theta0(document: Document, certificate: LanguageCertificate) -> None:
    entry = next(one for one in document["also"] if one.get("name") == "theta0")
    entry["errors"] = 0
    entry["value"] = occam_binomial(0, entry["n"], entry["bits"], 0.05).value


def free_theta0(document: Document, certificate: LanguageCertificate) -> None:
    next(one for one in document["also"] if one.get("name") == "theta0")["bits"] = 0


def better_held_out(document: Document, certificate: LanguageCertificate) -> None:
    entry = next(one for one in document["also"] if one.get("name") == "held_out")
    entry["errors"] -= 1
    entry["value"] = clopper_pearson(entry["errors"], entry["n"], 0, 0.05).value


def lower_held_out(document: Document, certificate: LanguageCertificate) -> None:
    next(one for one in document["also"] if one.get("name") == "held_out")["value"] -= 0.01


FORGERIES = [
    (lower_value, "arithmetic", "bound"),
    (fewer_errors, "risk", "errors"),
    (no_errors, "arithmetic", "schema"),
    (other_theorem, "arithmetic", "theorem"),
    (no_reason, "arithmetic", "losses"),
    (more_prompts, "risk", "text"),
    (other_end, "risk", "text"),
    (better_theta0, "risk", "theta0"),
    (free_theta0, "arithmetic", "other bounds"),
    (better_held_out, "risk", "held-out errors"),
    (lower_held_out, "arithmetic", "other bounds"),
]


@pytest.mark.parametrize(("edit", "level", "check"), FORGERIES, ids=[edit.__name__ for edit, _, _ in FORGERIES])
def test_forgeries_are_refused_at_the_first_level_that_sees_them(
    answered, tmp_path: Path, edit: Callable[[Document, LanguageCertificate], None], level: str, check: str
) -> None:
    given, certificate = answered
    file = forge(certificate, lambda document: edit(document, certificate), tmp_path / "forged.json")
    found = verify(file, level=level, **given)
    assert (found.stands, found.failed) == (False, check)
    if level == "risk":
        assert verify(file, level="message").stands


def test_the_command_certifies_shows_and_verifies(answered, tmp_path):
    given, certificate = answered
    file, runner, few = tmp_path / "c.json", CliRunner(), save_pairs(tmp_path / "few.jsonl", 40, 0)
    options = [
        "--task", "lm", "--statement", "answers", "--data", few, "--checkpoint", given["checkpoint"],
        "--disjoint", "--repeats", "two", "--d", "8", "--epochs", "1", "--context", "8",
    ]  # fmt: skip
    run = runner.invoke(app, ["certify", *options, "-o", str(file)])
    assert run.exit_code == 0, run.output
    assert "not answered exactly" in run.output.replace("\n", " ")
    checked = runner.invoke(app, ["verify", str(file), "--data", few, "--checkpoint", given["checkpoint"]])
    assert checked.exit_code == 0
    certificate.save(file)
    shown = runner.invoke(app, ["show", str(file)])
    assert f"{certificate.errors} of {N}" in shown.output
    assert "another wording counts as an error" in " ".join(shown.output.split())
    row = json.loads(runner.invoke(app, ["compare", str(file), "--json"]).stdout)["language_models"][0]
    assert (row["bound"], row["bound_bits_a_byte"]) == (certificate.stated_bound.value, None)
    page = tmp_path / "page.html"
    assert runner.invoke(app, ["report", str(file), "-o", str(page)]).exit_code == 0
    assert certificate.statement in page.read_text("utf-8")


def test_another_tokenizer_is_refused_and_the_digest_is_of_tokens(tmp_path):
    tokenizer, other = tmp_path / "made.bin", tmp_path / "other.bin"
    tokenizer.write_bytes(content())
    other.write_bytes(content([("zz", -1.0)] * 1 + [(f"z{k}", -1.0) for k in range(11)]))
    given = {
        "data": save_pairs(tmp_path / "pairs.jsonl", 30, 0), "tokenizer": str(tokenizer),
        "checkpoint": str(write(tmp_path / "tiny.bin", (*SHAPE[:5], 271, 16))),
    }  # fmt: skip
    certificate = certified(given, epochs=1, d=8)
    assert verify(certificate, level="risk", **given).stands
    assert verify(certificate, level="risk", **{**given, "tokenizer": str(other)}).failed == "text"


@pytest.mark.one_worker
def test_adapters_of_a_folder_of_transformers_are_coded_in_a_subspace(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    pytest.importorskip("peft", reason="the extra peft is not installed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.LlamaConfig(
            vocab_size=256, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=32,
        )  # fmt: skip
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "folder")
    given = {"data": save_pairs(tmp_path / "pairs.jsonl", 60, 0), "checkpoint": str(tmp_path / "folder")}
    certificate = certified(given, train="lora:2", epochs=2, d=16)
    assert certificate.hypothesis.train == "lora:2"
    found = verify(certificate, level="risk", **given)
    assert found.stands, found.reason


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"repeats": None}, r"\d00 independent draws were promised.*--repeats 'REASON'"),
        ({"held_out": 0.1, "test": None}, "are for --statement stream"),
        ({"disjoint": False}, "Add --disjoint"),
        ({"data": "digits"}, "about a table of pairs, got none"),
        ({"statement": "stream"}, "--repeats is for --statement documents and answers"),
    ],
)
def test_contradictions_are_refused_before_anything_is_trained(answered, options, match):
    given, _ = answered
    with pytest.raises(PacboundError, match=match):
        certified(given, **options)


def test_a_pair_longer_than_the_context_is_refused_by_its_number(answered, tmp_path):
    given, _ = answered
    path = tmp_path / "long.jsonl"
    path.write_text('{"prompt": "a?", "answer": "a"}\n{"prompt": "a long one?", "answer": "a"}\n')
    with pytest.raises(PacboundError, match="window of 8 symbols, pair 2 of long has 13"):
        certified({**given, "data": str(path)})


def test_a_run_that_was_killed_ends_in_the_same_certificate(answered, tmp_path, monkeypatch):
    given, _ = answered
    data = save_pairs(tmp_path / "few.jsonl", 40, 0)
    request = Request.model_validate({**OPTIONS, "data": data, "checkpoint": given["checkpoint"], "epochs": 18, "d": 8})
    whole, resumed = whole_and_resumed(request, tmp_path / "run.state", monkeypatch)
    assert resumed.core_digest == whole.core_digest
