"""The price of a network: a prefix code for the descriptions of specs/grammar.py, written once for both directions.

Prices are whole bits, frozen with the schema version. Common layers are short, and a layer may refer to those before
it: widths that double or stay, kernels that stay, as many blocks as before. The table stands in certificate/FORMAT.md.
"""

from ..errors import MessageError, ModelError
from ..specs.grammar import (
    CONVOLUTIONS,
    HEADS,
    MAX_KERNEL,
    MAX_LAYERS,
    OWN_NETWORK,
    PIXELS,
    USUAL_STRIDES,
    WIDE,
    Architecture,
    Layer,
    canonical_name,
    parse,
)
from .coder import Stream

ITEM = "model"
WHY = "the architecture is paid by its own description in a frozen grammar; 1 bit where the user declares one"

# A complete prefix code: no word starts another, and all 2^-length add up to 1.
WORDS = {
    "c": "00", "R": "01", "L": "100", "A": "1010", "M": "1011", "h": "1100", "r": "1101",
    "N": "11100", "B": "11101", "G": "11110", "P": "111110", "extra": "111111",
}  # fmt: skip
KINDS_OF_WORDS = {word: kind for kind, word in WORDS.items()}
EXTRA = (
    "tanh",
    "gelu",
    "silu",
    "V",
    "flip",
    "t",
    "T",
    "E",
    "gru",
    "W",
    "g",
    "attn",
    "moments",
    "edges",
    "opponent",
    "blur",
    "K",
    "bars",
)  # after the word `extra`, by the gamma code of their place; new kinds join at the end
KERNELS = (3, 5, 1, 2, 4, *range(6, MAX_KERNEL + 1))  # by the gamma code of their place
USUAL_SIZES = {"A": 3, "M": 2, "N": 8}
COUNTED = ("V", "W", "attn", "edges", "bars", "K")  # whose size is coded by the gamma code alone
EXPONENT_BITS = 4


def code_model(stream: Stream, sent: str | None = None) -> str:
    """Carry the name of a network: a flag for one that the user declares, else its description.

    Raises: MessageError where what is decoded is no description in its canonical spelling.
    """
    if _flag(stream, None if sent is None else sent == OWN_NETWORK):
        return OWN_NETWORK
    return canonical_name(str(code_architecture(stream, None if sent is None else parse(sent))))


def code_architecture(stream: Stream, sent: Architecture | None = None) -> Architecture:
    """Carry a network's description: what `sent` is to an encoder, a decoder returns.

    Raises: MessageError where what is decoded is no description in its canonical spelling.
    """
    layers: tuple[Layer, ...] = ()
    if _flag(stream, None if sent is None else sent.layers[0].kind in PIXELS):
        place = _flag(stream, None if sent is None else bool(PIXELS.index(sent.layers[0].kind)))
        layers = (Layer(PIXELS[place]),)
    while not layers or layers[-1].kind not in HEADS:
        if len(layers) == MAX_LAYERS:
            raise MessageError(f"unpack: a network of the grammar has at most {MAX_LAYERS} layers.")
        layers = (*layers, _layer(stream, layers, None if sent is None else sent.layers[len(layers)]))
    coded = Architecture(layers)
    try:
        canonical = parse(str(coded))
    except ModelError as cause:
        raise MessageError(f"unpack: the payload names no network of the grammar ({cause}).") from None
    if canonical != coded:
        raise MessageError(f"unpack: the network {canonical} is coded by its canonical spelling, got {coded}.")
    return coded


def _layer(stream: Stream, before: tuple[Layer, ...], sent: Layer | None) -> Layer:
    kind = _kind(stream, None if sent is None else sent.kind)
    values: dict[str, int | None] = {}
    if kind in WIDE:
        widths = [layer.size for layer in before if layer.kind in WIDE]
        values["size"] = _width(stream, widths[-1] if widths else None, None if sent is None else sent.size)
    if kind in CONVOLUTIONS:
        last = next((layer for layer in reversed(before) if layer.kind in CONVOLUTIONS), None)
        values |= _convolution(stream, last, sent)
    if kind == "r":
        repeat = before[-1].repeat if before else None
        if repeat is None or _flag(stream, None if sent is None else sent.repeat != repeat):
            repeat = 1 + _gamma(stream, None if sent is None else _known(sent.repeat) - 1)
        values["repeat"] = repeat
    if kind in USUAL_SIZES:
        values |= _usual(stream, kind, sent)
    if kind in COUNTED:
        values["size"] = 1 + _gamma(stream, None if sent is None else _known(sent.size) - 1)
    if kind == "g":
        values["kernel"] = 1 + _gamma(stream, None if sent is None else _known(sent.kernel) - 1)
    if kind == "attn":
        values["repeat"] = 1 + _gamma(stream, None if sent is None else _known(sent.repeat) - 1)
    return Layer(kind, **values)


def _kind(stream: Stream, sent: str | None) -> str:
    """Carry the word of a kind, bit by bit."""
    target = None if sent is None else WORDS.get(sent, WORDS["extra"])
    word = ""
    while word not in KINDS_OF_WORDS:
        word += str(int(_flag(stream, None if target is None else target[len(word)] == "1")))
    if KINDS_OF_WORDS[word] != "extra":
        return KINDS_OF_WORDS[word]
    place = _gamma(stream, None if sent is None else EXTRA.index(sent))
    if place >= len(EXTRA):
        raise MessageError(f"unpack: layer number {place} is unknown; this version knows {', '.join(EXTRA)}.")
    return EXTRA[place]


def _width(stream: Stream, last: int | None, sent: int | None) -> int:
    """Carry a width: 0 for twice the last one, 10 for the same; else, after 11 unless it is the first, (2j + 1) 2^e."""
    if last is not None:
        if not _flag(stream, None if sent is None else sent != 2 * last):
            return 2 * last
        if not _flag(stream, None if sent is None else sent != last):
            return last
    twos = None if sent is None else (sent & -sent).bit_length() - 1
    exponent = stream.integer(ITEM, EXPONENT_BITS, WHY, twos)
    half = _gamma(stream, None if sent is None or twos is None else sent >> twos + 1)
    return (2 * half + 1) << exponent


def _convolution(stream: Stream, last: Layer | None, sent: Layer | None) -> dict[str, int | None]:
    """Carry kernel and padding, 1 bit where they are those of the last convolution, and the stride."""
    stride = 1 + _gamma(stream, None if sent is None else _known(sent.stride) - 1)
    same = None if sent is None or last is None else (sent.kernel, sent.padding) == (last.kernel, last.padding)
    if last is not None and not _flag(stream, None if same is None else not same):
        return {"kernel": last.kernel, "padding": last.padding, "stride": stride}
    place = _gamma(stream, None if sent is None else KERNELS.index(_known(sent.kernel)))
    if place >= len(KERNELS):
        raise MessageError(f"unpack: a kernel has at most {MAX_KERNEL} places on a side.")
    kernel, padding = KERNELS[place], None
    if _flag(stream, None if sent is None else sent.padding is not None):
        padding = kernel // 2
        if _flag(stream, None if sent is None else sent.padding != padding):
            padding = _gamma(stream, None if sent is None else sent.padding)
    return {"kernel": kernel, "padding": padding, "stride": stride}


def _usual(stream: Stream, kind: str, sent: Layer | None) -> dict[str, int | None]:
    """Carry the size of a window with its stride, or the number of groups: 1 bit where they are the usual ones."""
    size, stride = USUAL_SIZES[kind], USUAL_STRIDES.get(kind)
    if _flag(stream, None if sent is None else (sent.size, sent.stride) != (size, stride)):
        size = 1 + _gamma(stream, None if sent is None else _known(sent.size) - 1)
        if stride is not None:
            stride = 1 + _gamma(stream, None if sent is None else _known(sent.stride) - 1)
    return {"size": size, "stride": stride}


def _flag(stream: Stream, sent: bool | None) -> bool:
    return bool(stream.integer(ITEM, 1, WHY, None if sent is None else int(sent)))


def _gamma(stream: Stream, sent: int | None) -> int:
    return stream.gamma(ITEM, WHY, sent)


def _known(value: int | None) -> int:
    """A field that a layer of this kind always has."""
    assert value is not None
    return value
