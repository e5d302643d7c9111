"""Symbol models: tables against mpmath, golden vectors, exact unit mass, adaptive and static against a slow oracle."""

import hashlib
import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bits.coder import MAX_COUNT, TOTAL, Account, Decoder, Encoder, Symbols, Table
from pacbound.bits.codes import code_bits, code_header, code_symbols, fit_code, table_from_counts
from pacbound.errors import CodeError
from pacbound.specs.specs import MAX_SYMBOL, SENT_CODE_KINDS, CodeSpec

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "codes.json").read_text())


class MassOracle:
    """A stream that carries nothing and multiplies the exact probabilities of what it is given."""

    def __init__(self) -> None:
        self.mass = Fraction(1)
        self.tables: list[Table] = []

    def integer(self, item: str, width: int, why: str, value: int | None = None) -> int:
        assert value is not None
        assert 0 <= value < 2**width
        self.mass /= 2**width
        return value

    def gamma(self, item: str, why: str, value: int | None = None) -> int:
        assert value is not None
        self.mass /= 2 ** (2 * math.floor(mpmath.log(value + 1, 2)) + 1)
        return value

    def symbols(self, item: str, table: Table, count: int, why: str, values: Symbols | None = None) -> Symbols:
        assert values is not None
        assert table.ndim == 1
        self.tables.append(table)
        for value in values.tolist():
            self.mass *= Fraction(int(table[value]), TOTAL)
        return values


def table_of(kind: str, levels: int, ratio_index: int) -> list[int]:
    """The table that the encoder is given."""
    oracle = MassOracle()
    spec = CodeSpec.model_validate({"kind": kind, "levels": levels, "ratio_index": ratio_index})
    code_symbols(oracle, spec, 1, np.zeros(1, np.int32))
    return oracle.tables[0].tolist()


def mpmath_table(kind: str, levels: int, ratio_index: int) -> list[int]:
    """1 + floor((2^24 - K) p_q) off the centre, p_q = mass of [q - 1/2, q + 1/2] / mass of the alphabet."""
    with mpmath.workdps(60):
        ratio = mpmath.mpf(2) ** (mpmath.mpf(ratio_index - 64) / 8)
        half = (levels - 1) // 2

        def between(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
            if kind == "gaussian":
                return (mpmath.erfc(a / mpmath.sqrt(2)) - mpmath.erfc(b / mpmath.sqrt(2))) / 2
            return (mpmath.exp(-a) - mpmath.exp(-b)) / 2

        whole = 2 * between(mpmath.mpf(0), (half + mpmath.mpf(1) / 2) * ratio)
        side = [
            1 + int(mpmath.floor((2**24 - levels) * between((q - 0.5) * ratio, (q + 0.5) * ratio) / whole))
            for q in range(1, half + 1)
        ]
    return [*reversed(side), 2**24 - 2 * sum(side), *side]


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
@pytest.mark.parametrize("levels", [1, 3, 7, 31, 255])
def test_tables_equal_those_of_sixty_digit_arithmetic(kind: str, levels: int) -> None:
    for ratio_index in range(0, 128, 1 if levels < 31 else 9):
        table = table_of(kind, levels, ratio_index)
        assert table == mpmath_table(kind, levels, ratio_index), ratio_index


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
@pytest.mark.parametrize("levels", [1, 3, 15, 1025, 2 * MAX_SYMBOL + 1])
def test_tables_are_symmetric_priors_with_full_support_at_every_scale(kind: str, levels: int) -> None:
    for ratio_index in (0, 1, 40, 64, 97, 126, 127):
        table = np.array(table_of(kind, levels, ratio_index))
        assert int(table.sum()) == 2**24
        assert int(table.min()) >= 1
        assert np.array_equal(table, table[::-1])
        assert (np.diff(table[: levels // 2]) >= 0).all(), "mass falls away from the centre"


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_golden_tables_so_that_old_messages_stay_readable(kind: str) -> None:
    """A digest of every scale; changing one is a breaking release."""
    for levels, digests in GOLDEN[kind]["sha256_of_all_scales"].items():
        running = hashlib.sha256()
        for ratio_index in range(128):
            running.update(np.array(table_of(kind, int(levels), ratio_index)).astype("<i8").tobytes())
        assert running.hexdigest() == digests, levels
    for case in GOLDEN[kind]["in_the_clear"]:
        assert table_of(kind, case["levels"], case["ratio_index"]) == case["table"]


def test_golden_tables_in_the_clear_are_right_and_not_only_unchanged() -> None:
    cases = [(kind, case) for kind in ("gaussian", "laplace") for case in GOLDEN[kind]["in_the_clear"]]
    assert len(cases) >= 8
    for kind, case in cases:
        assert case["table"] == mpmath_table(kind, case["levels"], case["ratio_index"])


@pytest.mark.parametrize("kind", ["gaussian", "laplace"])
def test_an_even_alphabet_has_no_symmetric_model(kind: str) -> None:
    with pytest.raises(CodeError, match="odd number of levels"):
        table_of(kind, 4, 64)


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=300).filter(any))
def test_count_tables_follow_their_rule_and_keep_full_support(weights: list[int]) -> None:
    table = table_from_counts(weights).tolist()
    assert sum(table) == 2**24
    floors = [1 + math.floor(Fraction((2**24 - len(weights)) * w, sum(weights))) for w in weights]
    largest = weights.index(max(weights))
    assert [f for k, f in enumerate(table) if k != largest] == [f for k, f in enumerate(floors) if k != largest]
    assert floors[largest] <= table[largest] < floors[largest] + len(weights)


def sequential_adaptive_mass(values: list[int], levels: int) -> Fraction:
    """Symbol by symbol: probability from counts + 1/2 as they were at the last refresh."""
    mass, seen, frozen, refresh = Fraction(1), [0] * levels, [0] * levels, 0
    for position, value in enumerate(values):
        if position == refresh:
            frozen = list(seen)
            refresh = position + max(16, position // 8)
        total = sum(frozen) + Fraction(levels, 2)
        rule = [1 + math.floor((2**24 - levels) * (c + Fraction(1, 2)) / total) for c in frozen]
        rule[frozen.index(max(frozen))] += 2**24 - sum(rule)
        mass *= Fraction(rule[value], 2**24)
        seen[value] += 1
    return mass


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 127, 128, 129, 500])
@pytest.mark.parametrize("levels", [1, 2, 9])
def test_the_adaptive_code_equals_a_sequential_dirichlet_multinomial(levels: int, count: int) -> None:
    rng = np.random.default_rng([levels, count])
    values = np.minimum(rng.geometric(0.4, count) - 1, levels - 1).astype(np.int32)
    oracle = MassOracle()
    code_symbols(oracle, CodeSpec(kind="adaptive", levels=levels), count, values)
    assert oracle.mass == sequential_adaptive_mass(values.tolist(), levels)


def test_the_adaptive_code_is_within_the_known_regret_of_the_best_static_model() -> None:
    """Krichevsky-Trofimov regret: (K - 1)/2 log2 n + O(K); stale blocks cost little more."""
    rng = np.random.default_rng(11)
    for levels, count in ((2, 1000), (7, 3000), (15, 3500)):
        values = rng.choice(levels, count, p=rng.dirichlet(np.ones(levels))).astype(np.int32)
        shares = np.bincount(values) / count
        ideal = -count * float(sum(p * math.log2(p) for p in shares if p))
        excess = code_bits(values, CodeSpec(kind="adaptive", levels=levels)) - ideal
        assert excess <= (levels - 1) / 2 * math.log2(count) + 4 * levels + 20


def specs_of(kind: str, levels: int, count: int) -> list[CodeSpec]:
    if kind == "adaptive":
        return [CodeSpec(kind="adaptive", levels=levels)]
    if kind == "static":
        shares = [c for c in itertools.product(range(count + 1), repeat=levels) if sum(c) == count]
        return [CodeSpec(kind="static", levels=levels, counts=c) for c in shares]
    return [CodeSpec.model_validate({"kind": kind, "levels": levels, "ratio_index": r}) for r in (0, 64, 80, 127)]


@pytest.mark.parametrize("kind", SENT_CODE_KINDS)
@pytest.mark.parametrize("count", range(5))
def test_all_strings_together_have_mass_one_under_every_model(kind: str, count: int) -> None:
    for spec in specs_of(kind, 3, count):
        total = Fraction(0)
        for values in itertools.product(range(3), repeat=count):
            oracle = MassOracle()
            code_symbols(oracle, spec, count, np.array(values, np.int32))
            total += oracle.mass
        assert total == 1


def test_all_strings_have_mass_one_across_a_refresh_of_the_adaptive_model() -> None:
    """17 binary symbols: the mass of the first 16 depends on them only by their number of ones."""
    total = Fraction(0)
    for ones, last in itertools.product(range(17), range(2)):
        values = np.array([*[1] * ones, *[0] * (16 - ones), last], np.int32)
        oracle = MassOracle()
        code_symbols(oracle, CodeSpec(kind="adaptive", levels=2), 17, values)
        total += math.comb(16, ones) * oracle.mass
    assert total == 1


def test_charged_bits_of_every_message_of_two_symbols_obey_kraft_header_included() -> None:
    """Alphabets of 1, 3 and 5 levels, every kind, scale, count table and string: sum of 2^-bits <= 1."""
    total, messages = Fraction(0), 0
    for levels in (1, 3, 5):
        pairs = [np.array(pair, np.int32) for pair in itertools.product(range(levels), repeat=2)]
        scales = [
            CodeSpec.model_validate({"kind": kind, "levels": levels, "ratio_index": ratio})
            for kind in ("gaussian", "laplace")
            for ratio in range(128)
        ]
        for spec in (*scales, *specs_of("adaptive", levels, 2), *specs_of("static", levels, 2)):
            exact, header = Fraction(0), header_mass(spec, 2)
            for pair in pairs:
                bits, mass = code_bits(pair, spec), header * symbols_mass(pair, spec)
                assert Fraction(1, 2**bits) <= mass, "fewer bits than the mass allows"
                assert mass < Fraction(2**3, 2**bits), "more than the -log2 of the mass, rounded up, and 2"
                total += Fraction(1, 2**bits)
                exact += mass
                messages += 1
            assert exact == header
    assert messages > 8000
    assert Fraction(1, 8) < total <= 1


def header_mass(spec: CodeSpec, count: int) -> Fraction:
    oracle = MassOracle()
    code_header(oracle, spec, count, None)
    return oracle.mass


def symbols_mass(values: np.ndarray, spec: CodeSpec) -> Fraction:
    oracle = MassOracle()
    code_symbols(oracle, spec, len(values), values)
    return oracle.mass


def test_the_header_costs_what_it_says() -> None:
    """2 bits of kind; gamma of the half alphabet; 7 of scale; K counts of bit_length(n) bits each."""
    symbols = np.full(8, 1, np.int32)
    by_item = _charged(symbols, CodeSpec(kind="gaussian", levels=3, ratio_index=70))
    assert by_item["symbol model"] == 2 + 3 + 7
    by_item = _charged(symbols, CodeSpec(kind="adaptive", levels=3))
    assert by_item["symbol model"] == 2 + 3
    by_item = _charged(symbols, CodeSpec(kind="static", levels=3, counts=(0, 8, 0)))
    assert (by_item["symbol model"], by_item["symbol counts"]) == (2 + 3, 3 * 4)


def _charged(symbols: np.ndarray, spec: CodeSpec) -> dict[str, int]:
    encoder = Encoder()
    code_header(encoder, spec, len(symbols), None)
    code_symbols(encoder, spec, len(symbols), symbols)
    return {entry.item: entry.bits for entry in encoder.account.ledger().entries}


@pytest.mark.parametrize("count", [1, 2, 8, 255, 256, 1024])
def test_static_counts_can_say_that_one_symbol_takes_all(count: int) -> None:
    """Published code spends ceil(log2 n) bits on a count in 0..n, which fails for n a power of two."""
    values = np.zeros(count, np.int32)
    spec = CodeSpec(kind="static", levels=2, counts=(count, 0))
    encoder = Encoder()
    code_header(encoder, spec, count, 2)
    code_symbols(encoder, spec, count, values)
    decoder = Decoder(encoder.payload())
    assert code_header(decoder, None, count, 2) == spec
    assert np.array_equal(code_symbols(decoder, spec, count), values)


@pytest.mark.parametrize("counts", [(3, 3), (2, 3), (6,), (2, 2, 2, 0), ()])
def test_static_counts_that_do_not_fit_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(CodeError, match=r"static|symbol counts"):
        code_header(Encoder(), CodeSpec(kind="static", levels=3, counts=counts), 6, 3)


def test_an_alphabet_beyond_the_format_is_refused_when_read() -> None:
    encoder = Encoder()
    encoder.integer("symbol model", 2, "kind", 0)
    encoder.gamma("symbol model", "half", MAX_SYMBOL + 1)
    with pytest.raises(CodeError, match="reach at most"):
        code_header(Decoder(encoder.payload()), None, 5, None)


@pytest.mark.parametrize("kind", ["gaussian", "adaptive"])
def test_a_count_beyond_the_cap_is_refused_before_memory_is_taken(kind: str) -> None:
    spec = CodeSpec.model_validate({"kind": kind, "levels": 1})
    with pytest.raises(CodeError, match="symbols"):
        code_symbols(Decoder(b""), spec, MAX_COUNT + 1)


SYMBOLS = st.integers(0, 8).flatmap(
    lambda half: st.tuples(st.just(2 * half + 1), st.lists(st.integers(0, 2 * half), max_size=300))
)


@given(SYMBOLS, st.sampled_from(SENT_CODE_KINDS), st.integers(0, 127))
@settings(max_examples=300, deadline=None)
def test_every_model_decodes_what_it_encoded(drawn: tuple[int, list[int]], kind: str, ratio: int) -> None:
    levels, listed = drawn
    values = np.array(listed, np.int32)
    counts = tuple(np.bincount(values, minlength=levels).tolist()) if kind == "static" else ()
    symmetric = kind in ("gaussian", "laplace")
    spec = CodeSpec.model_validate(
        {"kind": kind, "levels": levels, "counts": counts, "ratio_index": ratio if symmetric else 0}
    )
    encoder = Encoder()
    code_header(encoder, spec, len(values), None)
    code_symbols(encoder, spec, len(values), values)
    decoder = Decoder(encoder.payload())
    assert code_header(decoder, None, len(values), None) == spec
    assert np.array_equal(code_symbols(decoder, spec, len(values)), values)
    assert decoder.account.ledger() == encoder.account.ledger()
    assert 8 * len(encoder.payload()) <= encoder.account.ledger().bits + 40 + 0.0005 * len(values)


def scenes() -> list[tuple[np.ndarray, int]]:
    """Symbols on which a moment estimate of the scale misleads, and ordinary ones."""
    rng, made = np.random.default_rng(13), []
    for levels, count in ((1, 5), (3, 900), (5, 2000), (15, 700), (63, 300)):
        half = levels // 2
        for drawn in (
            rng.normal(0, half / 2.5 + 0.1, count),
            rng.laplace(0, 0.2, count),
            np.where(rng.random(count) < 0.01, half, 0),
            rng.integers(-half, half + 1, count),
            np.full(count, half),
        ):
            made.append(((np.clip(np.rint(drawn), -half, half) + half).astype(np.int32), levels))
    return made


@pytest.mark.parametrize(("symbols", "levels"), scenes())
def test_the_fitted_model_is_the_cheapest_of_all_there_are(symbols: np.ndarray, levels: int) -> None:
    every = [
        CodeSpec.model_validate({"kind": kind, "levels": levels, "ratio_index": ratio})
        for kind in ("gaussian", "laplace")
        for ratio in range(128)
    ]
    every.append(CodeSpec(kind="adaptive", levels=levels))
    every.append(CodeSpec(kind="static", levels=levels, counts=tuple(np.bincount(symbols, minlength=levels).tolist())))
    prices = [(spec.kind, code_bits(symbols, spec)) for spec in every]
    fitted = fit_code(symbols, levels)
    assert code_bits(symbols, fitted) == min(bits for _, bits in prices)
    for kind in ("gaussian", "laplace"):
        best = min(bits for one, bits in prices if one == kind)
        assert code_bits(symbols, fit_code(symbols, levels, [kind])) <= best


def test_long_tables_are_fitted_as_well_as_by_trying_every_scale() -> None:
    rng = np.random.default_rng(17)
    levels = 1201
    for kind, drawn in (("gaussian", rng.normal(0, 100, 500)), ("laplace", rng.laplace(0, 20, 500))):
        symbols = (np.clip(np.rint(drawn), -600, 600) + 600).astype(np.int32)
        every = [CodeSpec.model_validate({"kind": kind, "levels": levels, "ratio_index": r}) for r in range(128)]
        fitted = code_bits(symbols, fit_code(symbols, levels, [kind]))
        assert fitted <= min(code_bits(symbols, spec) for spec in every) + 1


def test_an_even_alphabet_is_fitted_by_the_models_that_take_it() -> None:
    symbols = np.array([0, 3, 3, 1] * 9, np.int32)
    assert fit_code(symbols, 4).kind in ("adaptive", "static")
    with pytest.raises(CodeError, match="an even number needs adaptive or static"):
        fit_code(symbols, 4, ["gaussian", "laplace"])


def test_code_bits_is_the_ledger_of_the_encoder() -> None:
    symbols = np.array([0, 1, 2, 1, 1, 1], np.int32)
    spec = CodeSpec(kind="laplace", levels=3, ratio_index=60)
    account = Account()
    account.add("symbol model", 2 + 3 + 7, "header")
    table = np.array(mpmath_table("laplace", 3, 60))
    account.add_symbols("symbols", table, np.array([1, 4, 1]), "symbols")
    assert code_bits(symbols, spec) == account.ledger().bits
