"""Forgeries, each digested again by the forger, and the first level that must catch each.

`caught` verifies level by level, so that naming a level also says that the levels below let it pass.
"""

import base64
import math
import os
import re
import time
from pathlib import Path

import pytest

from pacbound.bits.coder import Encoder
from pacbound.certificate import Certificate
from pacbound.certificate.document import MAX_INLINE_CHARACTERS
from pacbound.verification.verification import verify
from tests.forge import Document, Edit, caught, forge, honest, payload_of


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return honest()


def entry(document: Document, item: str) -> Document:
    return next(e for e in document["ledger"] if e["item"] == item)


def put(*path: str | int, value: object) -> Edit:
    def edit(document: Document) -> None:
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return edit


def less_symbols(document: Document) -> None:
    entry(document, "symbols")["bits"] -= 100


def train_bound_without_bits(document: Document) -> None:
    document["also"][0]["sample"] = "train"
    del document["also"][0]["held_out"]


def another_held_out(document: Document) -> None:
    """Errors on examples that nobody has, beside those that are counted again."""
    first = document["also"][0]
    document["also"].append({**first, "held_out": {**first["held_out"], "digest": "9" * 64}})


def drop(item: str) -> Edit:
    return lambda document: document["ledger"].remove(entry(document, item))


def add(kind: str, bits: int, item: str = "saving") -> Edit:
    line = {"item": item, "bits": bits, "kind": kind, "why": "because"}
    return lambda document: document["ledger"].append(line)


def kind(item: str, value: str) -> Edit:
    return lambda document: entry(document, item).update(kind=value)


def swap_entries(document: Document) -> None:
    document["ledger"][0], document["ledger"][1] = document["ledger"][1], document["ledger"][0]


def lower_by_one_float(document: Document) -> None:
    document["bound"]["value"] = math.nextafter(document["bound"]["value"], 0)


def nothing(document: Document) -> None:
    pass


def payload(text: str) -> Edit:
    return put("message", "payload", value=text)


def sidecar(name: str) -> Edit:
    return put("message", value={"bits": 314, "file": name, "sha256": "0" * 64, "size": 40})


# name, edit, whether the forger recomputes bound and statement, first level, check
FORGERIES: tuple[tuple[str, Edit, bool, str, str], ...] = (
    ("ledger bits lowered", less_symbols, False, "arithmetic", "sums"),
    ("ledger bits lowered, sums and bound with them", less_symbols, True, "message", "ledger"),
    ("message bits lowered", put("message", "bits", value=10), False, "arithmetic", "sums"),
    ("tuning not paid", drop("package defaults"), True, "message", "ledger"),
    ("counted entry dropped", drop("symbol model"), True, "message", "ledger"),
    ("declaration dropped", drop("task"), True, "message", "ledger"),
    ("last entry dropped", drop("format"), True, "message", "ledger"),
    ("declared entry added", add("declared", 0), True, "message", "ledger"),
    ("choice entry added", add("choice", 5), True, "message", "ledger"),
    ("entries in another order", swap_entries, True, "message", "ledger"),
    ("reason reworded", put("ledger", 0, "why", value="free"), True, "message", "ledger"),
    ("saving derived from nothing", add("derived", -50), True, "arithmetic", "sums"),
    ("counted bits below zero", add("counted", -50), True, "arithmetic", "schema"),
    ("declared bits below zero", add("declared", -50), True, "arithmetic", "schema"),
    ("entry twice", add("counted", 0, "symbols"), True, "arithmetic", "schema"),
    ("counted turned into choice", kind("symbols", "choice"), True, "message", "ledger"),
    ("fractional bits", put("ledger", 0, "bits", value=0.5), False, "arithmetic", "schema"),
    ("bits as text", put("ledger", 0, "bits", value="1"), False, "arithmetic", "schema"),
    ("bits true", put("ledger", 0, "bits", value=True), False, "arithmetic", "schema"),
    ("bits past 2^40", add("choice", 1 << 41), False, "arithmetic", "schema"),
    ("bound lowered", put("bound", "value", value=0.01), False, "arithmetic", "bound"),
    ("bound lowered by one float", lower_by_one_float, False, "arithmetic", "bound"),
    ("bound above 1", put("bound", "value", value=1.5), False, "arithmetic", "schema"),
    ("bound as a word", put("bound", "value", value="0.01"), False, "arithmetic", "schema"),
    ("bound as an integer", put("bound", "value", value=1), False, "arithmetic", "schema"),
    ("delta lowered, bound kept", put("bound", "delta", value=1e-9), False, "arithmetic", "bound"),
    ("delta raised, sentence kept", put("bound", "delta", value=0.5), False, "arithmetic", "statement"),
    ("delta 0", put("bound", "delta", value=0.0), False, "arithmetic", "schema"),
    ("test-set theorem as headline", put("bound", "theorem", value="test_set"), False, "arithmetic", "theorem"),
    ("randomised theorem as headline", put("bound", "theorem", value="catoni_fixed"), False, "arithmetic", "theorem"),
    ("unknown theorem", put("bound", "theorem", value="wishful"), False, "arithmetic", "schema"),
    ("binomial theorem for a loss", put("risk", "loss", value="square"), False, "arithmetic", "theorem"),
    ("statement reworded", put("statement", value="This network is perfect."), False, "arithmetic", "statement"),
    ("n raised in risk", put("risk", "n", value=70000), False, "arithmetic", "sample"),
    ("n raised in data", put("data", "n", value=70000), False, "arithmetic", "sample"),
    ("more errors than examples", put("risk", "errors", value=60001), False, "arithmetic", "schema"),
    ("errors below zero", put("risk", "errors", value=-1), False, "arithmetic", "schema"),
    ("half an error", put("risk", "errors", value=0.5), False, "arithmetic", "schema"),
    ("top_x loss", put("risk", "loss", value="top_x"), False, "arithmetic", "schema"),
    ("top_0 loss", put("risk", "loss", value="top_0"), True, "arithmetic", "schema"),
    ("one class", put("data", "classes", value=1), False, "arithmetic", "schema"),
    ("classes raised to hide a vacuous bound", put("data", "classes", value=1 << 21), False, "arithmetic", "schema"),
    ("declarations emptied", put("declarations", value=[]), False, "arithmetic", "declarations"),
    ("other bound lowered", put("also", 0, "value", value=0.001), False, "arithmetic", "other bounds"),
    ("other bound by other theorem", put("also", 0, "theorem", value="occam_kl"), False, "arithmetic", "other bounds"),
    ("test-set bound at another confidence", put("also", 0, "delta", value=0.999), False, "arithmetic", "other bounds"),
    ("two test-set bounds, one to be counted again", another_held_out, False, "arithmetic", "other bounds"),
    ("test-set bound with bits", put("also", 0, "bits", value=7), False, "arithmetic", "other bounds"),
    ("train bound without bits", train_bound_without_bits, False, "arithmetic", "other bounds"),
    ("held-out bound of nobody", lambda d: d["also"][0].pop("held_out"), False, "arithmetic", "schema"),
    ("held-out figures that vouch for themselves", put("also", 0, "held_out", "rechecked", value=True), False,
     "arithmetic", "schema"),
    ("more distinct inputs than inputs", put("data", "distinct", value=60001), False, "arithmetic", "schema"),
    ("repeats without a word", put("data", "distinct", value=59399), False, "arithmetic", "sample"),
    ("held-out repeats without a word", put("also", 0, "held_out", "distinct", value=9899), False,
     "arithmetic", "sample"),
    ("repeats with a word that the ledger lacks", put("data", "repeats", value="copied"), False, "message", "ledger"),
    ("like tuned data, the name kept", put("data", "like", value="digits"), False, "arithmetic", "schema"),
    ("majority class too bad", put("also", 1, "errors", value=54001), False, "arithmetic", "other bounds"),
    ("composed parts", put("parts", value=["x"]), False, "arithmetic", "schema"),
    ("unknown field", put("trust", value="me"), False, "arithmetic", "schema"),
    ("unknown field inside", put("data", "url", value="x"), False, "arithmetic", "schema"),
    ("field left out", lambda document: document.pop("environment"), False, "arithmetic", "schema"),
    ("another version", put("schema_version", value="1"), False, "arithmetic", "schema"),
    ("version as a number", put("schema_version", value=2), False, "arithmetic", "schema"),
    ("NaN", put("bound", "value", value=float("nan")), False, "arithmetic", "schema"),
    ("infinity", put("environment", "seconds", "fit", value=float("inf")), False, "arithmetic", "schema"),
    ("integer of 5000 digits", put("data", "n", value=10**4000), False, "arithmetic", "schema"),
    ("terminal escape", put("data", "note", value="\x1b[2Jfine"), False, "arithmetic", "schema"),
    ("right-to-left override", put("data", "note", value="\u202e% 9"), False, "arithmetic", "schema"),
    ("lone surrogate", put("data", "note", value="\ud800"), False, "arithmetic", "schema"),
    ("path as environment", put("environment", "versions", value={"a": "/home/x"}), False, "arithmetic", "schema"),
    ("model to import", put("hypothesis", "model", value="os:system"), False, "arithmetic", "schema"),
    ("data to import", put("data", "name", value="os:system"), False, "arithmetic", "schema"),
    ("data as a path", put("data", "name", value="../x.npz"), False, "arithmetic", "schema"),
    ("data digest of another form", put("data", "digest", value="A" * 64), False, "arithmetic", "schema"),
    ("sidecar above the folder", sidecar("../x.message"), False, "arithmetic", "schema"),
    ("sidecar by absolute path", sidecar("/etc/x.message"), False, "arithmetic", "schema"),
    ("sidecar hidden", sidecar(".x.message"), False, "arithmetic", "schema"),
    ("sidecar of another kind", sidecar("passwd"), False, "arithmetic", "schema"),
    ("sidecar absent", sidecar("x.message"), True, "message", "payload"),
    ("payload too long", payload("A" * (MAX_INLINE_CHARACTERS + 4)), False, "arithmetic", "schema"),
    ("payload not base64", payload("A"), False, "message", "payload"),
    ("payload with line breaks", payload("AA\nA="), False, "arithmetic", "schema"),
    ("payload base64 of two readings", payload("AAAAAAB="), False, "message", "payload"),
    ("payload empty", payload(""), False, "message", "decode"),
    ("payload zeros", payload("A" * 400), False, "message", "decode"),
    ("10^12 symbols declared", put("hypothesis", "projector", "d", value=10**12), False, "arithmetic", "schema"),
    ("another seed declared", put("hypothesis", "projector", "seed", value=9), False, "message", "hypothesis"),
    ("another step declared", put("hypothesis", "quantizer", "step_index", value=41), False, "message", "hypothesis"),
    ("another base seed declared", put("hypothesis", "base", "seed", value=4), False, "message", "hypothesis"),
    ("another network declared", put("hypothesis", "model", value="mlp"), False, "message", "hypothesis"),
    ("projector alone", put("hypothesis", "code", value=None), False, "arithmetic", "schema"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "consistent", "level", "check"), [f[1:] for f in FORGERIES], ids=[f[0] for f in FORGERIES]
)
def test_each_forgery_is_caught_first_at_its_level(
    certificate: Certificate, tmp_path: Path, edit: Edit, consistent: bool, level: str, check: str
) -> None:
    assert caught(forge(certificate, edit, tmp_path / "forged.json", consistent)) == (level, check)


def test_forging_nothing_is_not_caught_so_the_table_above_can_fail(certificate: Certificate, tmp_path: Path) -> None:
    assert caught(forge(certificate, nothing, tmp_path / "same.json", consistent=True)) is None


def test_an_edit_without_a_new_digest_is_caught_by_the_digest(certificate: Certificate, tmp_path: Path) -> None:
    path = tmp_path / "edited.json"
    path.write_bytes(certificate.to_json().replace(b'"fit": 1.5', b'"fit": 1.25'))
    assert caught(path) == ("arithmetic", "digest")


def test_a_larger_bound_is_a_weaker_true_statement_and_stands(certificate: Certificate, tmp_path: Path) -> None:
    def weaken(document: Document) -> None:
        document["bound"]["value"] = 0.0625
        document["statement"] = re.sub(r"at most \S+ %", "at most 6.25 %", document["statement"])

    assert certificate.bound.value < 0.0625
    assert caught(forge(certificate, weaken, tmp_path / "weak.json")) is None


@pytest.mark.parametrize("key", ["bound", "value", "errors", "digest"])
def test_a_repeated_key_is_refused_since_two_readers_may_see_two_values(
    certificate: Certificate, tmp_path: Path, key: str
) -> None:
    text = certificate.to_json().decode()
    start = text.index(f'"{key}":')
    path = tmp_path / "twice.json"
    path.write_text(f'{text[:start]}"{key}": 0,{text[start:]}')
    assert caught(path) == ("arithmetic", "schema")


@pytest.mark.parametrize("cut", [4, 8, 20])
def test_a_truncated_payload_does_not_decode(certificate: Certificate, tmp_path: Path, cut: int) -> None:
    short = base64.b64encode(certificate.payload()[:-cut]).decode()
    found = caught(forge(certificate, payload(short), tmp_path / "short.json"))
    assert found is not None
    assert found[0] == "message"


def test_a_padded_payload_does_not_decode_although_its_content_is_right(
    certificate: Certificate, tmp_path: Path
) -> None:
    long = base64.b64encode(certificate.payload() + bytes(4)).decode()
    assert caught(forge(certificate, payload(long), tmp_path / "long.json")) == ("message", "decode")


def test_the_payload_of_another_network_is_refused(certificate: Certificate, tmp_path: Path) -> None:
    foreign = payload(payload_of(honest(seed=1)))
    assert caught(forge(certificate, foreign, tmp_path / "foreign.json")) == ("message", "hypothesis")


def header(kind: int, dimension: int) -> bytes:
    """A message by hand: LeNet, seeded base, fastfood, lattice, one of the symbol models, and then nothing."""
    encoder = Encoder()
    encoder.integer("zero flag", 1, "x", 0)
    encoder.gamma("model", "x", 1)
    encoder.gamma("base", "x", 0)
    encoder.gamma("base", "x", 3)
    encoder.integer("preprocessing", 2, "x", 0)
    encoder.integer("layer scale", 1, "x", 1)
    encoder.integer("dimension", 1, "x", 1)
    encoder.gamma("dimension", "x", dimension)
    encoder.gamma("projector", "x", 0)
    encoder.gamma("projector", "x", 0)
    encoder.integer("quantizer", 1, "x", 0)
    encoder.integer("quantizer", 8, "x", 40)
    encoder.integer("symbol model", 2, "x", kind)
    encoder.gamma("symbol model", "x", 4)
    encoder.integer("symbol model", 7, "x", 60)
    return encoder.payload()


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("dimension", [10**12, (1 << 31) - 1, (1 << 26) + 1, (1 << 22) + 1])
def test_a_message_of_very_many_symbols_is_refused_before_memory_is_taken(
    certificate: Certificate, tmp_path: Path, kind: int, dimension: int
) -> None:
    bomb = payload(base64.b64encode(header(kind, dimension)).decode())
    path, start = forge(certificate, bomb, tmp_path / "bomb.json"), time.perf_counter()
    assert caught(path) == ("message", "decode")
    assert time.perf_counter() - start < 5


def test_the_hand_written_header_is_a_real_one_so_the_bomb_above_is_armed(
    certificate: Certificate, tmp_path: Path
) -> None:
    small = payload(base64.b64encode(header(0, 63)).decode())
    result = verify(forge(certificate, small, tmp_path / "small.json"), level="message")
    assert result.reason is None or " d in [1" not in result.reason


def test_a_file_of_one_gigabyte_is_refused_by_its_size_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as stream:
        stream.truncate(1 << 30)
    start = time.perf_counter()
    assert caught(path) == ("arithmetic", "schema")
    assert time.perf_counter() - start < 1
    assert "1,073,741,824" in str(verify(path).reason)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"a": ' + "[" * 17 + "]" * 17 + "}"])
def test_deep_nesting_is_refused_before_the_parser_recurses(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deep.json"
    path.write_text(text)
    assert caught(path) == ("arithmetic", "schema")
    assert "deep" in str(verify(path).reason)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"\xff\xfe", b"{}", b"{", b'{"schema_version": "2"}'])
def test_files_that_are_no_certificate_are_refused_by_the_schema(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.json"
    path.write_bytes(content)
    assert caught(path) == ("arithmetic", "schema")


def with_sidecar(folder: Path) -> tuple[Path, Path]:
    """A certificate whose message is too long to stand in it."""
    large = honest(count=3_000_000)
    large.save(folder / "large.json")
    return folder / "large.json", folder / str(large.document()["message"]["file"])


def test_sidecars_that_are_links_foreign_short_or_long_are_refused(tmp_path: Path) -> None:
    path, message = with_sidecar(tmp_path)
    assert verify(path, level="message").stands
    content = message.read_bytes()
    message.rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", message)
    assert caught(path) == ("message", "payload")
    assert "symbolic link" in str(verify(path, level="message").reason)
    message.unlink()
    for forged in (content[:-4], content + bytes(4), bytes(len(content)), b""):
        message.write_bytes(forged)
        assert caught(path) == ("message", "payload")
    message.unlink()
    os.mkfifo(message)  # reading one would wait for ever
    assert caught(path) == ("message", "payload")
    message.unlink()
    with message.open("wb") as stream:
        stream.truncate(1 << 30)
    assert caught(path) == ("message", "payload")
