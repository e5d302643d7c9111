"""Descriptions of networks: one canonical spelling each, refusals that say where and what, names for strings."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pacbound.errors import ModelError
from pacbound.specs.grammar import (
    KINDS,
    MAX_DESCRIPTION,
    MAX_LAYERS,
    MAX_REPEAT,
    REFERENCE_STRINGS,
    Layer,
    canonical_name,
    is_described,
    parse,
)
from pacbound.specs.specs import RAW_PIXEL_MODELS, REFERENCE_MODELS, BaseOrigin, HypothesisSpec
from tests.descriptions import sequence_spellings, spellings


@given(st.one_of(spellings(), sequence_spellings()))
@settings(max_examples=300, deadline=None)
def test_every_spelling_has_one_canonical_string_and_is_read_back_from_it(text: str) -> None:
    network = parse(text)
    canonical = str(network)
    assert parse(canonical) == network
    assert str(parse(canonical)) == canonical
    assert len(canonical) <= MAX_DESCRIPTION
    assert canonical == by_hand(text)


def by_hand(text: str) -> str:
    """The canonical spelling by rewriting the text: defaults dropped, equal blocks counted."""
    found: list[str] = []
    for token in text.split("-"):
        token = re.sub("^([ct][0-9].*)s1(p|$)", r"\1\2", token)
        token = re.sub("^([AM].*)s2$", r"\1", token)
        token = re.sub("^([ct][0-9]+k1(?:s[0-9]+)?)p0$", r"\1", token)
        if not re.match("r[0-9]|attn[0-9]", token):
            found.append(token)
            continue
        width, _, times = token.partition("x")
        number = int(times or 1)
        if found and found[-1].partition("x")[0] == width:
            number += int(found.pop().partition("x")[2] or 1)
        found.append(width if number == 1 else f"{width}x{number}")
    return "-".join(found)


def test_different_networks_have_different_strings() -> None:
    """By their records, which the builder reads."""
    texts = [
        *REFERENCE_STRINGS.values(),
        "c4k5-L",
        "c4k5p0-L",
        "c4k5p2-L",
        "c4k5s2-L",
        "M2-L",
        "M2s1-L",
        "A2-L",
        "r8-L",
    ]
    assert len({parse(text) for text in texts}) == len({str(parse(text)) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("c4k5s1-R-L", "c4k5-R-L"),
        ("A3s2-L", "A3-L"),
        ("r8-r8-r16x1-r16x2-L", "r8x2-r16x3-L"),
        ("c3k1p0-L", "c3k1-L"),
        ("w1/h8-L", "h8-L"),
        ("w2/c4k5-N4-r8-A3-h10-R-L", "c8k5-N4-r16-A3-h20-R-L"),
        ("w2/lenet1", "c8k5-R-A3-c24k5-R-A3-L"),
        ("lenet1", "c4k5-R-A3-c12k5-R-A3-L"),
        ("w2/w2/h8-L", None),
        ("w2/E8-W3-gru4-g5k2-attn2x1-attn2-attn4-h3-L", "E16-W3-gru8-g10k2-attn2x2-attn4-h6-L"),
    ],
)
def test_spellings_and_multipliers(text: str, canonical: str | None) -> None:
    if canonical is None:
        with pytest.raises(ModelError):
            parse(text)
    else:
        assert str(parse(text)) == canonical


def test_fields_are_those_of_the_layer() -> None:
    assert parse("c16k3s2p1-A3-r8x2-N4-G-L").layers == (
        Layer("c", size=16, kernel=3, stride=2, padding=1),
        Layer("A", size=3, stride=2),
        Layer("r", size=8, repeat=2),
        Layer("N", size=4),
        Layer("G"),
        Layer("L"),
    )


@pytest.mark.parametrize(
    ("text", "character", "layer", "found", "could"),
    [
        ("", 1, 1, "the end", "c, t, r"),
        ("c4k5", 5, 1, "the end", "L, P"),
        ("c4k5-R-", 8, 3, "the end", "L, P"),
        ("c4", 3, 1, "the end", "'k' and a number"),
        ("c4k5-Q-L", 6, 2, "'Q'", "one of c, t, r"),
        ("L-L", 3, 2, "'L'", "the end"),
        ("h3-c3k3-L", 4, 2, "'c3k3'", "one of N, B"),
        ("G-P", 3, 2, "'P'", "one of N, B"),
        ("R-unit-L", 3, 2, "'unit'", "one of c, t, r"),
        ("c3k99-L", 4, 1, "'99'", "[1, 15]"),
        ("c3k3p3-L", 6, 1, "'3'", "[0, 2]"),
        ("c3k3p1s2-L", 7, 1, "'s2'", "'-'"),
        ("c03k3-L", 2, 1, "'03k3'", "[1, 4096]"),
        ("c0k3-L", 2, 1, "'0k3'", "[1, 4096]"),
        ("h99999999999999999999-L", 2, 1, "'9999", "[1, 4096]"),
        ("h\u0663-L", 2, 1, "'\u0663'", "[1, 4096]"),  # an Arabic digit
        ("w2/h4000-L", 5, 1, "'4000'", "after the multiplier 2"),
        ("L ", 2, 1, "' '", "'-'"),
        ("L\n", 2, 1, "'\\n'", "'-'"),
        ("E16", 4, 1, "the end", "L, P"),
        ("h8-E16-L", 4, 2, "'E16'", "one of N, B"),
        ("E16-E16-L", 5, 2, "'E16'", "one of gru, W, g, attn, R, tanh, gelu, silu, h, L"),
        ("E16-c8k3-L", 5, 2, "'c8k3'", "one of gru, W"),
        ("E16-N8-L", 5, 2, "'N8'", "one of gru, W"),
        ("E16-P", 5, 2, "'P'", "one of gru, W"),
        ("unit-E16-L", 6, 2, "'E16'", "one of flip"),
        ("gru32-L", 1, 1, "'gru32'", "one of unit, imagenet"),
        ("E16-g8-L", 7, 2, "'-'", "'k' and a number, as in g8k3"),
        ("E16-W65-L", 6, 2, "'65'", "[1, 64]"),
        ("edges5-L", 6, 1, "'5'", "the size of edges, an integer in [1, 4]"),
        ("edges-L", 6, 1, "'-'", "the size of edges, an integer in [1, 4]"),
        ("R-moments-L", 3, 2, "'moments'", "one of c, t, r"),
        ("edges1-moments-L", 8, 2, "'moments'", "one of c, t, r"),
        ("K2-E4-L", 4, 2, "'E4'", "one of K, L"),
        ("R-K2-L", 3, 2, "'K2'", "one of c, t, r"),
        ("K16385-L", 2, 1, "'16385'", "[1, 16384]"),
        ("K1-" * 9 + "L", 25, 9, "'K1'", "one of L"),
        ("E16-attn0-L", 9, 2, "'0'", "[1, 64]"),
        ("E16-attn4x64-attn4-L", 14, 3, "'attn4'", f"at most {MAX_REPEAT}"),
        ("r8x64-r8-L", 7, 2, "'r8'", f"at most {MAX_REPEAT}"),
        ("R-" * MAX_LAYERS + "L", 2 * MAX_LAYERS + 1, MAX_LAYERS + 1, "'L'", f"at most {MAX_LAYERS}"),
    ],
)
def test_refusals_name_the_place_what_was_found_and_what_could_stand_there(
    text: str, character: int, layer: int, found: str, could: str
) -> None:
    with pytest.raises(ModelError) as refusal:
        parse(text)
    said = str(refusal.value)
    assert f"at character {character} (layer {layer}) stands {found}" in said
    assert could in said.split("there could stand")[1]


@given(st.text(alphabet="ckspxrAMGNBRLPhwEWgut/-0123456789", max_size=14))
@settings(max_examples=400, deadline=None)
def test_any_text_is_refused_or_canonical_after_one_reading(text: str) -> None:
    try:
        network = parse(text)
    except ModelError:
        assert not is_described(text)
        return
    assert parse(str(network)) == network


def test_every_reference_network_has_its_string_in_canonical_form() -> None:
    assert tuple(REFERENCE_STRINGS) == REFERENCE_MODELS
    for name, string in REFERENCE_STRINGS.items():
        assert str(parse(string)) == string
        assert canonical_name(string) == canonical_name(name) == name
    raw = {name for name, string in REFERENCE_STRINGS.items() if string.split("-")[0] in ("unit", "imagenet")}
    assert raw == set(RAW_PIXEL_MODELS)
    assert len(set(REFERENCE_STRINGS.values())) == len(REFERENCE_STRINGS)
    assert not set(REFERENCE_STRINGS) & set(KINDS)


@pytest.mark.parametrize("model", ["user", "lenet", "h64-R-L"])
def test_a_certificate_names_a_network_canonically(model: str) -> None:
    assert HypothesisSpec(model=model, layout_digest="ab" * 32, base=BaseOrigin()).model == model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("h256-R-L", "this one 'mlp'"),
        ("c4k5s1-L", "this one 'c4k5-L'"),
        ("w2/lenet", "each network has one name"),
        ("os:system", "a reference network or a description"),
        ("User", "a reference network or a description"),
        ("R-" * 3000 + "L", "at most"),
    ],
)
def test_a_certificate_with_another_name_of_a_network_is_refused(model: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        HypothesisSpec(model=model, layout_digest="ab" * 32, base=BaseOrigin())
