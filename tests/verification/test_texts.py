"""A certificate about texts from one end to the other: what it records, and which tokenizer it is verified with."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pacbound as pb
from tests.data.test_tokens import WORDS, write_tokenizer
from tests.tiny import quick

N = 60


class Bag(nn.Module):
    """The mean of the vectors of the words, [PAD] left out, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(8, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        real = (ids != WORDS["[PAD]"]).float().unsqueeze(-1)
        logits: Tensor = self.head((self.table(ids) * real).sum(1) / real.sum(1))
        return logits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """reviews/: two files of N / 2 texts; tokenizer.json and other.json; reviews.json, the certificate."""
    pytest.importorskip("tokenizers", reason="tokenizers, of the extra transformers, is not installed")
    root = tmp_path_factory.mktemp("texts")
    write_tokenizer(root / "tokenizer.json")
    write_tokenizer(root / "other.json", {**WORDS, "good": WORDS["bad"], "bad": WORDS["good"]})
    for part, numbers in (("reviews", range(N // 2)), ("held", range(100, 110))):
        (root / part).mkdir()
        for name in ("bad", "good"):
            (root / part / f"{name}.txt").write_text("\n".join(f"{name} film {'x' * (k % 7)} {k}" for k in numbers))
    made = pb.certify(Bag(), str(root / "reviews"), test=str(root / "held"), request=asked(root))
    made.save(root / "reviews.json")
    return root


def asked(root: Path, **options: object) -> pb.Request:
    given = {"preprocess": "tokens@4", "tokenizer": str(root), "name": "reviews", "model_name": "bag", **options}
    return quick(**given, repeats="short texts")


def test_the_certificate_says_how_texts_were_read_and_what_the_classes_are(folder: Path) -> None:
    made = pb.Certificate.load(folder / "reviews.json")
    spec = made.hypothesis.preprocess
    assert (spec.text, made.data.name, made.data.labels) == ("tokens@4", "reviews", ("bad", "good"))
    assert made.data.note == "50 of the 60 texts have more than 4 tokens and are cut off there"  # all but each seventh
    assert made.ledger.bits_of("counted") == made.message.bits
    entries = {entry.item: entry for entry in made.ledger}
    assert entries["preprocessing"].bits == 7 + 1 + 5  # the name, and 4, which 32 does not divide
    assert entries["tokenizer"].why.endswith("says the user")
    assert any(note.startswith("tokens are those of tokenizers ") for note in made.environment.notes or ())
    assert made.environment.network == "bag"


def test_it_stands_with_its_tokenizer_and_with_no_other(folder: Path) -> None:
    given = {"data": str(folder / "reviews"), "model": Bag(), "test": str(folder / "held")}
    found = pb.verify(folder / "reviews.json", **given, tokenizer=folder)
    found.require()
    assert (found.level, found.held_out is not None) == ("risk", True)
    other = pb.verify(folder / "reviews.json", **given, tokenizer=folder / "other.json")
    assert (other.failed, other.recount) == ("tokenizer", None)
    with pytest.raises(pb.PacboundError, match=r"level risk needs the tokenizer \(--tokenizer\)"):
        pb.verify(folder / "reviews.json", **given)


def test_labels_of_a_sample_do_not_reach_its_digest(folder: Path) -> None:
    read = pb.load(str(folder / "reviews"))
    plain = pb.Examples("plain", read.x, read.y, 2, preprocess="tokens")
    assert pb.Certificate.load(folder / "reviews.json").data.digest == plain.digest()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tokenizer": None}, "texts are read as the tokens of a tokenizer, got none. Give --tokenizer FILE"),
        ({"preprocess": "none"}, "a tokenizer goes with texts, got it with the preprocessing 'none'"),
        ({"preprocess": "tokens@1"}, "more tokens than the 1 that the tokenizer adds"),
        ({"layout": "hwc"}, "--layout is for pictures, got texts"),
    ],
)
def test_what_does_not_go_with_texts_is_refused(folder: Path, options: dict[str, object], complaint: str) -> None:
    with pytest.raises(pb.PacboundError, match=complaint):
        pb.certify(Bag(), str(folder / "reviews"), request=asked(folder, **options))


class Placed(Bag):
    """Adds a vector for each of at most four places."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(4, 2))

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids) + self.places.expand(ids.shape[1], 2).mean(0)


def test_more_tokens_than_the_network_has_places_for_are_answered_with_the_option(folder: Path) -> None:
    with pytest.raises(pb.PacboundError, match="--preprocess tokens@5 reaches beyond what it reads: keep fewer tokens"):
        pb.certify(Placed(), str(folder / "reviews"), request=asked(folder, preprocess="tokens@5"))


def test_held_out_texts_that_stand_in_the_sample_are_found_at_any_length(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("bad film xxx 3\nanother one")
    (tmp_path / "good.txt").write_text("a text that is much longer than all others of the sample are")
    with pytest.raises(pb.PacboundError, match="got 1 that stand in both"):
        pb.certify(Bag(), str(folder / "reviews"), test=str(tmp_path), request=asked(folder))


def test_a_network_that_reads_numbers_of_tokens_takes_them_as_they_are() -> None:
    y = torch.arange(40) % 2
    x = torch.stack([3 + 2 * y, torch.arange(40) % 7], 1)
    made = pb.certify(Bag(), (x, y), request=quick(repeats="few tokens"))
    assert made.hypothesis.preprocess.name == "none"
    assert pb.verify(made, data=(x, y), model=Bag()).stands


@pytest.mark.one_worker
def test_a_network_that_takes_what_texts_are_filled_up_with_for_words_is_refused(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    write_tokenizer(tmp_path / "tokenizer.json")
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.BertConfig(**small, vocab_size=9, pad_token_id=WORDS["[PAD]"] + 1)
    config.save_pretrained(tmp_path)
    texts = (["a good film", "a bad film", "good"], torch.tensor([1, 0, 1]))
    with pytest.raises(pb.PacboundError, match=rf"got {WORDS['[PAD]']} from the tokenizer"):
        pb.certify(f"hf:{tmp_path}", texts, request=asked(tmp_path))
