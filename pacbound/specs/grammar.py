"""A small grammar of networks: strings such as 'c4k5-R-A3-c12k5-R-A3-L', and the records they are parsed into.

A description is layers joined by '-', from the pixels to the logits. Layers (N, K, ... are decimal integers):
    unit        first only: raw pixels / 255; the preprocessing beside it is `none`
    imagenet    first only: raw pixels / 255, standardised by the constants of ImageNet; a grey image fills 3 channels
    flip        first but for these: answers are means over the image and its mirror image
    VN          first but for these: means over all shifts by at most N places, vertical and horizontal ones together
    moments     features, see below: a grey image set upright and to one size by its moments
    edgesN      features: eight maps of oriented edges of a grey image, normalised by their surroundings (1); with a
                ninth map of intensity (2); neither normalised (3), with intensity (4)
    opponent    features: twenty maps of edges, spots and colours of a colour image
    barsN       features: edges and bars of a grey or colour image, and edges and spots of colours (1); with a map of
                intensity, or smooth patches of colours (2)
    cNkK        convolution to N channels, K x K; sS stride (1), pP zeros on each side
    tNkK        convolution by filters that are turned by 0, 90, 180 and 270 degrees: N channels for each turn; s, p too
    rN          residual block of two 3 x 3 convolutions to N channels; xX blocks in a row (1)
    AW, MW      average or maximum over W x W places; sS stride (2)
    blur        every second place, smoothed by (1, 2, 1) / 4 along both sides
    T           maximum over the four turns, after a t
    G           mean over all places
    NN, B       group norm in N groups; batch norm with frozen statistics
    R, tanh, gelu, silu     activations
    hN          linear layer to N hidden units
    L, P        last only, exactly one: linear to the classes; 1 x 1 convolution to the classes and the mean over places

A description that starts with E is a network of sequences: from symbols 0, ..., V - 1 to logits of the next symbol at
every position, which depend on this and earlier positions only. After E stand these, activations, h and L alone:
    EN          first, and only there: each symbol a vector of N channels
    gruN        gated recurrent layer of N units, its state zero before the first position
    WK          window: the channels of this and the K - 1 positions before, zeros before the first
    gNkK        gated causal convolution to N channels over K positions, added to what comes in where widths agree
    attnH       transformer block with H heads as wide as what comes in, then layer norm; xX blocks in a row (1)
A description that starts with K is a context tree, between K and L nothing but K:
    KN          N contexts that are one symbol longer than those of the layer before, the first of one symbol

Rules that depend on what stands around or on the shape of an example:
    - Without p, a convolution has no zeros around it, and K // 2 on each side where an image has a side below 16.
    - A window of A or M that is larger than the map is clipped to it.
    - A convolution or hidden layer directly followed by a norm has no bias.
    - A residual block is conv, norm, ReLU, conv, norm, plus the shortcut, ReLU, by the last norm that stands before it;
      without one it has no norm, and biases. Where channels grow, the first has stride 2 and the shortcut is option A
      of He et al. 2015 (arXiv:1512.03385, sec. 3.3): every second place, new channels zero on both sides of the old.
    - Features are fixed functions of one image without parameters (models/features.py), and stand before all other
      layers but pixels and views: moments, then edges, opponent or bars.
    - A network is trained on images as they are; views are of the pixels that come in, and at the border a place that a
      shift brings in from outside has the value of the nearest one inside.
    - t is the convolution of the group of quarter turns (Cohen and Welling 2016, arXiv:1602.07576, sec. 6): on a map
      that t left it is one over its four turns too. Only t, A, M, activations, T, G, h and L may read such a map.
    - An image of (height, width) is grey; h and L flatten what is not flat.
A prefix such as 'w2/' multiplies all N of c, t, r, h, E, gru and g. Every network has one canonical spelling, which
`str` gives: the multiplier carried out, defaults left out, equal blocks in a row as one layer. A name of
REFERENCE_STRINGS may stand for its string. A further kind of layer is a row of KINDS and a place at the end of EXTRA in
bits/architecture.py.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from ..errors import ModelError

# Descriptions of the networks that have a name.
REFERENCE_STRINGS = {
    "lenet": "c16k5-M2-R-c32k5-M2-R-h64-R-L",
    "mlp": "h256-R-L",
    "cnn": "c16k3p1-R-c32k3s2p1-R-c32k3p1-R-c64k3s2p1-R-P",
    "resnet20": "c16k3p1-N8-R-r16x3-r32x3-r64x3-G-L",
    "resnet20-bn": "imagenet-c16k3p1-B-R-r16x3-r32x3-r64x3-G-L",
    "resnet32-bn": "imagenet-c16k3p1-B-R-r16x5-r32x5-r64x5-G-L",
    "lenet-mnist": "unit-c32k3p1-R-M2-c64k3p1-R-M2-h200-R-L",
    "lenet1": "c4k5-R-A3-c12k5-R-A3-L",
    "pooled": "c8k5p2-R-A3-c16k5p2-R-A3-c32k5p2-R-A3-L",
}
_NAMES = {string: name for name, string in REFERENCE_STRINGS.items()}

OWN_NETWORK = "user"  # stands for a network that no description says
MAX_LAYERS = 128
MAX_DESCRIPTION = 16 * MAX_LAYERS  # characters: the longest layer, c4096k15s8p14, has 13 and a '-'
MAX_WIDTH = 1 << 12
MAX_KERNEL = 15
MAX_STRIDE = 8
MAX_GROUPS = 1 << 10
MAX_REPEAT = 64
MAX_WINDOW = 64  # positions
MAX_CONTEXTS = 1 << 14  # of one length
MAX_ORDER = 8  # of a context tree
MAX_HEADS = 64
USUAL_STRIDES = {"c": 1, "t": 1, "A": 2, "M": 2}

PIXELS = ("unit", "imagenet")
ACTIVATIONS = ("R", "tanh", "gelu", "silu")
NORMS = ("N", "B")
VIEWS = ("flip", "V")  # of the image, over which a network that is not being trained takes the mean; in this order
MAX_VIEWS = 3
FEATURES = ("moments", "edges", "opponent", "bars")  # fixed maps of the image, before all that is trained
MAX_EDGES, MAX_BARS = 4, 2
ON_MAPS = (
    "c",
    "t",
    "T",
    "r",
    "A",
    "M",
    "G",
    "P",
    "blur",
    *VIEWS,
    *FEATURES,
)  # these read (channels, height, width), and nothing may have flattened it
HEADS = ("L", "P")
EMBEDDING = "E"  # what a network of sequences starts with
CONTEXTS = "K"  # what a context tree consists of
ON_SEQUENCES = ("gru", "W", "g", "attn")
AFTER_EMBEDDING = (*ON_SEQUENCES, *ACTIVATIONS, "h", "L")
CONVOLUTIONS = ("c", "t")
NOT_ON_TURNS = ("c", "r", *NORMS, "P")  # they know nothing of the four turns of a map

# kind -> (field of Layer, letter before its number, least, most): in the order in which they are written
KINDS: dict[str, tuple[tuple[str, str, int, int], ...]] = {
    **dict.fromkeys(PIXELS, ()),
    "flip": (),
    "V": (("size", "", 1, MAX_VIEWS),),
    "c": (
        ("size", "", 1, MAX_WIDTH), ("kernel", "k", 1, MAX_KERNEL), ("stride", "s", 1, MAX_STRIDE),
        ("padding", "p", 0, MAX_KERNEL - 1),
    ),
    "t": (
        ("size", "", 1, MAX_WIDTH), ("kernel", "k", 1, MAX_KERNEL), ("stride", "s", 1, MAX_STRIDE),
        ("padding", "p", 0, MAX_KERNEL - 1),
    ),
    "T": (),
    "r": (("size", "", 1, MAX_WIDTH), ("repeat", "x", 1, MAX_REPEAT)),
    "A": (("size", "", 1, MAX_KERNEL), ("stride", "s", 1, MAX_STRIDE)),
    "M": (("size", "", 1, MAX_KERNEL), ("stride", "s", 1, MAX_STRIDE)),
    "G": (),
    "N": (("size", "", 1, MAX_GROUPS),),
    "B": (),
    **dict.fromkeys(ACTIVATIONS, ()),
    "h": (("size", "", 1, MAX_WIDTH),),
    "L": (),
    "P": (),
    EMBEDDING: (("size", "", 1, MAX_WIDTH),),
    "gru": (("size", "", 1, MAX_WIDTH),),
    "W": (("size", "", 1, MAX_WINDOW),),
    "g": (("size", "", 1, MAX_WIDTH), ("kernel", "k", 1, MAX_KERNEL)),
    "attn": (("size", "", 1, MAX_HEADS), ("repeat", "x", 1, MAX_REPEAT)),
    CONTEXTS: (("size", "", 1, MAX_CONTEXTS),),
    "moments": (),
    "edges": (("size", "", 1, MAX_EDGES),),
    "opponent": (),
    "bars": (("size", "", 1, MAX_BARS),),
    "blur": (),
}  # fmt: skip
WIDE = ("c", "t", "r", "h", EMBEDDING, "gru", "g")  # whose size is a number of channels or units
IN_ROWS = ("r", "attn")  # equal blocks in a row are one layer
_KIND = re.compile("|".join(sorted(KINDS, key=len, reverse=True)))
_NUMBER = re.compile("(?:0|[1-9][0-9]*)(?![0-9])", re.ASCII)
_MULTIPLIER = re.compile("w([1-9][0-9]{0,3})/", re.ASCII)


@dataclass(frozen=True)
class Layer:
    """One layer; fields that its kind does not have are None.

    kind: of KINDS. size: channels, units, places on a side of a window, groups, or heads. kernel: places on a side.
    padding: zeros on each side; None is the rule for small images. repeat: equal blocks in a row.
    """

    kind: str
    size: int | None = None
    kernel: int | None = None
    stride: int | None = None
    padding: int | None = None
    repeat: int | None = None

    def __str__(self) -> str:
        """Return the canonical spelling."""
        usual = {"stride": USUAL_STRIDES.get(self.kind), "padding": None, "repeat": 1}
        values = ((name, letter, getattr(self, name)) for name, letter, _, _ in KINDS[self.kind])
        return self.kind + "".join(
            f"{letter}{n}" for name, letter, n in values if name not in usual or n != usual[name]
        )


@dataclass(frozen=True)
class Architecture:
    """A network from pixels or symbols to the logits, of any shape and number of classes; made by `parse`."""

    layers: tuple[Layer, ...]

    @property
    def reads_sequences(self) -> bool:
        """Whether it is a network of sequences."""
        return self.layers[0].kind in (EMBEDDING, CONTEXTS)

    @property
    def is_tree(self) -> bool:
        """Whether it is a context tree, which is fitted and not trained."""
        return self.layers[0].kind == CONTEXTS

    def __str__(self) -> str:
        """Return the one canonical spelling, which `parse` reads back."""
        return "-".join(map(str, self.layers))


def expected(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """Return the kinds that may follow these layers; none after a head."""
    kinds = [layer.kind for layer in layers]
    if kinds and kinds[-1] in HEADS:
        return ()
    if kinds and kinds[0] == EMBEDDING:
        return AFTER_EMBEDDING
    if kinds and kinds[0] == CONTEXTS:
        return (CONTEXTS, "L") if len(kinds) < MAX_ORDER else ("L",)
    flat = "h" in kinds or "G" in kinds
    begun = [kind for kind in kinds if kind not in PIXELS]
    barred = ON_SEQUENCES + (ON_MAPS if flat else ()) + ((*PIXELS, EMBEDDING, CONTEXTS) if kinds else ())
    barred += NOT_ON_TURNS if turned(layers) else ("T",)
    barred += VIEWS if begun not in ([], ["flip"]) else ("flip",) if begun else ()
    fixed = [kind for kind in begun if kind not in VIEWS]
    barred += FEATURES if fixed not in ([], ["moments"]) else ("moments",) if fixed else ()
    return tuple(kind for kind in KINDS if kind not in barred)


def turned(layers: tuple[Layer, ...]) -> bool:
    """Whether a map with four turns leaves these layers."""
    return next((layer.kind == "t" for layer in reversed(layers) if layer.kind in ("t", "T", "G", "h")), False)


def append(layers: tuple[Layer, ...], layer: Layer) -> tuple[Layer, ...]:
    """Return the layers with one more, equal blocks in a row becoming one layer."""
    if layer.kind in IN_ROWS and layers and (layers[-1].kind, layers[-1].size) == (layer.kind, layer.size):
        return (*layers[:-1], replace(layer, repeat=(layers[-1].repeat or 1) + (layer.repeat or 1)))
    if layer.kernel == 1 and layer.padding == 0:
        layer = replace(layer, padding=None)  # no image is padded for a kernel of one place
    return (*layers, layer)


@lru_cache(maxsize=256)
def parse(text: str) -> Architecture:
    """Read a description, or the name of a reference network, either with a multiplier of widths before it.

    Raises: ModelError that names the position, what was found there and what could stand there.

    >>> str(parse("w2/c4k5s1-R-r8-r8-L"))
    'c8k5-R-r16x2-L'
    """
    prefix = _MULTIPLIER.match(text)
    factor = int(prefix[1]) if prefix else 1
    start = prefix.end() if prefix else 0
    text = text[:start] + REFERENCE_STRINGS.get(text[start:], text[start:])
    layers: tuple[Layer, ...] = ()
    while start <= len(text):
        stop = text.find("-", start)
        stop = len(text) if stop < 0 else stop
        layers = append(layers, _layer(text, start, stop, layers, factor))
        if len(layers) > MAX_LAYERS:
            raise _refusal(text, start, stop, f"the end, after at most {MAX_LAYERS} layers")
        if (layers[-1].repeat or 1) > MAX_REPEAT:
            raise _refusal(text, start, stop, f"another block, after at most {MAX_REPEAT} equal ones in a row")
        start = stop + 1
    if layers[-1].kind not in HEADS:
        raise _refusal(text, len(text), len(text), f"'-' and a layer, the last being one of {', '.join(HEADS)}")
    return Architecture(layers)


def _layer(text: str, start: int, stop: int, before: tuple[Layer, ...], factor: int) -> Layer:
    """Read the layer that stands at [start, stop)."""
    kinds = expected(before)
    found = _KIND.match(text, start, stop)
    if found is None or found[0] not in kinds:
        raise _refusal(text, start, stop, f"one of {', '.join(kinds)}" if kinds else "the end, after the last layer")
    kind, at = found[0], found.end()
    values: dict[str, int] = {}
    for name, letter, least, most in KINDS[kind]:
        needed = name in ("size", "kernel")
        if not text.startswith(letter, at, stop):
            if needed:
                example = "8k3" if kind in (*CONVOLUTIONS, "g") else "8"
                raise _refusal(text, at, stop, f"{letter!r} and a number, as in {kind}{example}")
            continue
        number = _NUMBER.match(text, at + len(letter), stop)
        most = values["kernel"] - 1 if name == "padding" else most
        value = int(number[0][:9]) * (factor if name == "size" and kind in WIDE else 1) if number else -1
        if number is None or not least <= value <= most:
            times = f" after the multiplier {factor}" if factor > 1 and number else ""
            raise _refusal(
                text, at + len(letter), stop, f"the {name} of {kind}, an integer in [{least}, {most}]{times}"
            )
        values[name], at = value, number.end()
    if at != stop:
        could = ["'-'", "the end"]
        for name, letter, _, _ in KINDS[kind]:
            could = could[:2] if name in values else [*could, letter]  # letters come in one order
        raise _refusal(text, at, stop, f"one of {', '.join(could)}")
    if kind in USUAL_STRIDES:
        values.setdefault("stride", USUAL_STRIDES[kind])
    if kind in IN_ROWS:
        values.setdefault("repeat", 1)
    return Layer(kind, **values)


def _refusal(text: str, at: int, stop: int, could: str) -> ModelError:
    """A refusal at a position of the text: characters and layers count from 1."""
    found = repr(text[at:stop][:20]) if at < stop else ("'-'" if at < len(text) else "the end")
    return ModelError(
        f"architecture: at character {at + 1} (layer {text.count('-', 0, at) + 1}) stands {found}; there could stand "
        f"{could}. A description is like 'c4k5-R-A3-c12k5-R-A3-L'."
    )


def canonical_name(text: str) -> str:
    """Return the name under which a network is known: a reference network's, else the canonical description.

    Raises: ModelError where it is no description.

    >>> canonical_name("h256-R-L"), canonical_name("w2/h32-R-L")
    ('mlp', 'h64-R-L')
    """
    string = str(parse(text))
    return _NAMES.get(string, string)


def is_described(model: object) -> bool:
    """Whether this names a network that the grammar says, in any spelling.

    >>> is_described("mlp"), is_described("h64-R-L"), is_described("user"), is_described("module:callable")
    (True, True, False, False)
    """
    try:
        return isinstance(model, str) and bool(parse(model))
    except ModelError:
        return False


def begins_with_features(model: str) -> bool:
    """Whether this names a network whose first layer, pixels and views aside, is of FEATURES.

    >>> begins_with_features("flip-opponent-c16k3p1-R-A3-L"), begins_with_features("c4k5-R-L")
    (True, False)
    """
    return is_described(model) and any(layer.kind in FEATURES for layer in parse(model).layers)


def model_name(model: str) -> str:
    """Return the name unchanged where it is 'user' or canonical: the check of a field in a certificate.

    Raises: ValueError, which pydantic reports.
    """
    if model == OWN_NETWORK:
        return model
    try:
        canonical = canonical_name(model)
    except ModelError as cause:
        raise ValueError(f"model is {OWN_NETWORK!r}, a reference network or a description: {cause}") from None
    if canonical != model:
        raise ValueError(f"each network has one name, this one {canonical!r}, got {model!r}")
    return model
