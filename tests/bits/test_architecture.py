"""The code of descriptions: what each costs by hand, round trips, no word that starts another, and frozen words."""

import itertools
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bits.architecture import ITEM, WHY, WORDS, code_model
from pacbound.bits.coder import Decoder, Encoder, Symbols, Table
from pacbound.errors import MessageError, ModelError
from pacbound.specs.grammar import MAX_LAYERS, REFERENCE_STRINGS, canonical_name, parse
from tests.descriptions import sequence_spellings, spellings

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "architectures.json").read_text())


class Bits:
    """A stream of plain bits, so that words can be read and enumerated: writes them, or reads those given."""

    def __init__(self, word: str | None = None) -> None:
        self.word, self.reading, self.at = word or "", word is not None, 0

    def integer(self, item: str, width: int, why: str, value: int | None = None) -> int:
        assert (item, why) == (ITEM, WHY)
        if not self.reading:
            assert value is not None
            assert 0 <= value < 1 << width
            self.word += f"{value:b}".zfill(width) if width else ""
            return value
        if self.at + width > len(self.word):
            raise EOFError
        self.at += width
        return int(self.word[self.at - width : self.at] or "0", 2)

    def gamma(self, item: str, why: str, value: int | None = None) -> int:
        if not self.reading:
            assert value is not None
            self.word += "0" * (len(f"{value + 1:b}") - 1) + f"{value + 1:b}"
            return value
        extra = 0
        while self.integer(item, 1, why) == 0:
            extra += 1
        return (1 << extra) + self.integer(item, extra, why) - 1

    def symbols(self, item: str, table: Table, count: int, why: str, values: Symbols | None = None) -> Symbols:
        raise AssertionError("a description has no symbols")


def word_of(model: str) -> str:
    stream = Bits()
    assert code_model(stream, model) == model
    return stream.word


def gamma_bits(value: int) -> int:
    return 2 * (value + 1).bit_length() - 1


def width_by_hand(size: int, before: int | None) -> int:
    if before is not None and size in (before, 2 * before):
        return 1 if size == 2 * before else 2
    odd = size
    while odd % 2 == 0:
        odd //= 2
    return (0 if before is None else 2) + 4 + gamma_bits(odd // 2)


def price_by_hand(text: str) -> int:
    """Bits of a canonical description, from the table in FORMAT.md and its text alone."""
    bits, width, kernel, repeat = 2, None, None, None
    for token in text.split("-"):
        if text.startswith("E") and (found := re.fullmatch(r"(E|gru|W|g|attn)(\d+)[kx]?(\d*)", token)):
            kind, size, number = found[1], int(found[2]), int(found[3] or 1)
            bits += 6 + {"E": 7, "gru": 7, "W": 7, "g": 7, "attn": 7}[kind]
            bits += width_by_hand(size, width) if kind in ("E", "gru", "g") else gamma_bits(size - 1)
            bits += gamma_bits(number - 1) if kind in ("g", "attn") else 0
            width = size if kind in ("E", "gru", "g") else width
            continue
        if text.startswith("K") and token != "L":
            bits += 6 + 9 + gamma_bits(int(token[1:]) - 1)
            continue
        if token in ("unit", "imagenet"):
            bits += 1
            continue
        extra = {"tanh": 1, "gelu": 3, "silu": 3, "flip": 5, "T": 5, "V1": 5 + 1, "V3": 5 + 3, "moments": 7, "blur": 9}
        extra |= {
            "opponent": 7,
            "edges1": 7 + 1,
            "edges2": 7 + 3,
            "edges3": 7 + 3,
            "edges4": 7 + 5,
            "bars1": 9 + 1,
            "bars2": 9 + 3,
        }
        if token in extra:
            bits += 6 + extra[token]
            repeat = None
            continue
        kind, size = token[0], int((re.findall(r"^.(\d+)", token) or ["0"])[0])
        named = {letter: int(number) for letter, number in re.findall(r"([kspx])(\d+)", token)}
        bits += {"c": 2, "t": 6 + 5, "R": 2, "L": 3, "A": 4, "M": 4, "h": 4, "r": 4, "N": 5, "B": 5, "G": 5, "P": 6}[
            kind
        ]
        if kind in "ctrh":
            bits += width_by_hand(size, width)
            width = size
        if kind in "ct":
            bits += gamma_bits(named.get("s", 1) - 1)
            this = (named["k"], named.get("p"))
            bits += 0 if kernel is None else 1
            if this != kernel:
                places = [3, 5, 1, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
                bits += gamma_bits(places.index(named["k"])) + 1
                if "p" in named:
                    bits += 1 + (0 if named["p"] == named["k"] // 2 else gamma_bits(named["p"]))
            kernel = this
        if kind == "r":
            times = named.get("x", 1)
            bits += (0 if repeat is None else 1) + (0 if times == repeat else gamma_bits(times - 1))
        repeat = named.get("x", 1) if kind == "r" else None
        if kind in "AM":
            stride, usual = named.get("s", 2), {"A": 3, "M": 2}[kind]
            bits += 1 if (size, stride) == (usual, 2) else 1 + gamma_bits(size - 1) + gamma_bits(stride - 1)
        if kind == "N":
            bits += 1 if size == 8 else 1 + gamma_bits(size - 1)
    return bits


@given(st.one_of(spellings(), sequence_spellings()))
@settings(max_examples=300, deadline=None)
def test_a_receiver_reads_the_very_description_at_the_price_of_the_table(text: str) -> None:
    name = canonical_name(text)
    encoder = Encoder()
    assert code_model(encoder, name) == name
    decoder = Decoder(encoder.payload())
    assert code_model(decoder) == name
    assert decoder.account.ledger() == encoder.account.ledger()
    (entry,) = encoder.account.ledger().entries
    assert (entry.item, entry.bits, entry.kind) == ("model", price_by_hand(str(parse(name))), "counted")
    assert len(word_of(name)) == entry.bits
    reader = Bits(word_of(name) + "0110")
    assert code_model(reader) == name
    assert reader.at == entry.bits


@pytest.mark.parametrize("name", REFERENCE_STRINGS)
def test_reference_networks_cost_what_their_strings_cost(name: str) -> None:
    assert 16 <= len(word_of(name)) == price_by_hand(REFERENCE_STRINGS[name]) <= 56


def small_descriptions() -> Iterator[str]:
    """All of up to three layers before the head from a few of each kind, and all pairs of widths and blocks."""
    maps = ["c1k1", "c2k3", "c4k3", "c2k3p1", "c2k3p2", "c2k3s2", "c3k5", "r2", "r4", "r4x2", "A3", "M2", "A2s1"]
    maps += ["N8", "N2", "B", "R", "tanh", "gelu", "silu"]
    texts = [[*body, head] for n in range(4) for body in itertools.product(maps, repeat=n) for head in ("L", "P")]
    features = ["moments", "edges1", "edges2", "edges4", "moments-edges3", "opponent", "bars1"]
    features += ["moments-bars2", "flip-edges1", "flip", "V1"]
    texts += [[start, *body, "L"] for start in features for body in ((), ("blur",), ("blur", "blur"), ("R", "blur"))]
    texts += [[start, body, "L"] for start in ("unit", "imagenet") for body in (*maps, "G", "h8")]
    after = ["gru1", "gru2", "W1", "W2", "g2k1", "g2k3", "attn1", "attn2", "attn1x2", "h2", "R", "tanh"]
    texts += [["E2", *body, "L"] for n in range(3) for body in itertools.product(after, repeat=n)]
    texts += [[*body, "L"] for n in (1, 2, 3) for body in itertools.product(("K1", "K2", "K65"), repeat=n)]
    texts += [[body, flat, "h2", "L"] for body in maps for flat in ("G", "h1", "h2", "h4")]
    yield "user"
    for text in texts:
        yield canonical_name("-".join(text))


def test_no_word_starts_another_so_the_code_is_prefix_free() -> None:
    words = {name: word_of(name) for name in small_descriptions()}
    assert len(set(words.values())) == len(words) > 10_000
    ordered = sorted(words.values())
    assert not any(later.startswith(earlier) for earlier, later in itertools.pairwise(ordered))
    assert sum(Fraction(1, 2 ** len(word)) for word in ordered) <= 1


def test_all_words_of_fifteen_bits_are_read_as_one_network_or_none() -> None:
    """Every sequence of bits, read to its end: what is accepted takes up at most one whole, one word a network."""
    mass, names = Fraction(0), {}
    pending = [""]
    while pending:
        word = pending.pop()
        try:
            name = code_model(Bits(word))
        except EOFError:
            pending += [word + "0", word + "1"] if len(word) < 15 else []
            continue
        except MessageError:
            continue
        mass += Fraction(1, 2 ** len(word))
        names.setdefault(name, []).append(word)
    assert mass <= 1
    assert {"user", "L", "h64-L", "R-L", "G-L"} <= set(names)
    for name, words in names.items():  # several words for one network waste bits, and pack refuses all but one
        assert word_of(name) in words


def test_the_words_of_kinds_fill_the_tree() -> None:
    assert sum(Fraction(1, 2 ** len(word)) for word in WORDS.values()) == 1
    assert not any(b.startswith(a) for a, b in itertools.permutations(WORDS.values(), 2))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("00" + "111111" + "000010011", "layer number 18 is unknown"),
        ("00" + "111111" + "0001110" + "00101" + "100", "no network of the grammar"),  # edges5
        ("00" + "01" + "111111" + "0001101" + "100", "no network of the grammar"),  # moments behind an activation
        ("00" + "111111" + "0001010" + "1" + "100", "no network of the grammar"),  # W1 without E
        ("00" + "01" * MAX_LAYERS, f"at most {MAX_LAYERS} layers"),
        ("00" + "1100" + "1111" + "1" + "100", "no network of the grammar"),  # 2^15 hidden units
        ("00" + "1101" + "0000" + "1" + "1" + "1101" + "10" + "0" + "100", "canonical spelling"),  # r1-r1
        ("00" + "11110" + "11110" + "100", "no network of the grammar"),  # G twice
        ("00" + "00" + "0000" + "1" + "1" + "0000000100000" + "0" + "100", "at most 15 places"),
    ],
)
def test_words_of_no_network_are_refused(word: str, said: str) -> None:
    with pytest.raises(MessageError, match=said):
        code_model(Bits(word))


def test_golden_words_so_that_prices_stay_those_of_the_schema_version() -> None:
    """Changing one of these is a new schema version."""
    assert {name: word_of(name) for name in GOLDEN} == GOLDEN
    assert set(REFERENCE_STRINGS) < set(GOLDEN)


def test_a_name_in_another_spelling_has_no_word_of_its_own() -> None:
    assert code_model(Bits(word_of("mlp"))) == "mlp"
    with pytest.raises(ModelError):
        code_model(Bits(), "no-network")
