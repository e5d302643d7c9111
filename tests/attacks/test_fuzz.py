"""Random damage: whatever the bytes, verification returns a verdict and raises nothing of its own."""

import contextlib
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacbound.bits.message import unpack
from pacbound.certificate import Certificate
from pacbound.errors import CertificateError, PacboundError
from pacbound.verification.verification import verify
from tests.forge import Document, digest_of, honest

HONEST = honest()
TEXT = HONEST.to_json()
QUIET = settings(deadline=5000, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False)
    | st.floats(0, 1)
    | st.sampled_from([0, 1, -1, 1 << 40, 1 << 62, 1e-300, 5e-324, 1e308, "", "zero_one", "test_set", "occam_kl"])
    | st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def leaves(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a document, containers included."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(leaf for key, part in pairs for leaf in leaves(part, (*place, key)))]


PLACES = [place for place in leaves(HONEST.document())[1:] if place != ("digest",)]


def verdict(raw: bytes) -> bool:
    """Whether these bytes stand at level message; only a malformed document is an exception."""
    try:
        certificate = Certificate.from_json(raw)
    except CertificateError:
        return False
    return verify(certificate, level="message").stands


@settings(QUIET, max_examples=300)
@given(st.data())
def test_bytes_changed_at_random_never_stand_and_never_crash(data: st.DataObject) -> None:
    raw = bytearray(TEXT)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    if verdict(bytes(raw)):
        assert json.loads(bytes(raw)) == HONEST.document()  # white space may have changed, nothing else


@settings(QUIET, max_examples=400)
@given(st.sampled_from(PLACES), values)
def test_any_value_in_any_place_digested_again_gains_nothing(place: tuple[str | int, ...], value: object) -> None:
    document: Document = json.loads(TEXT)
    part = document
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    document["digest"] = digest_of(document)
    if verdict(json.dumps(document).encode()):
        assert document["bound"]["value"] >= HONEST.bound.value
        assert document["bound"]["delta"] == HONEST.bound.delta


@settings(QUIET, max_examples=300)
@given(st.binary(max_size=80))
def test_any_payload_is_decoded_or_refused(payload: bytes) -> None:
    small = HONEST.hypothesis.projector.model_copy(update={"D": 1 << 12})
    try:
        spec, symbols, _ = unpack(payload, HONEST.hypothesis.model_copy(update={"projector": small}))
    except PacboundError:
        return
    assert len(symbols) == (0 if spec.projector is None else spec.projector.d)


def test_one_bit_of_the_payload_changes_the_network_or_breaks_the_message() -> None:
    payload = HONEST.payload()
    honest_symbols = unpack(payload, HONEST.hypothesis)[1].tolist()
    for bit in range(len(payload) * 8):
        raw = bytearray(payload)
        raw[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(PacboundError):
            spec, symbols, _ = unpack(bytes(raw), HONEST.hypothesis)
            assert spec != HONEST.hypothesis or symbols.tolist() != honest_symbols, bit
