"""Descriptions of networks to draw from, in any spelling."""

from hypothesis import strategies as st

WIDTHS = st.one_of(st.sampled_from((1, 4, 8, 16, 32)), st.integers(1, 4096))


def _options(draw: st.DrawFn, letter: str, low: int, high: int) -> str:
    return f"{letter}{draw(st.integers(low, high))}" if draw(st.booleans()) else ""


@st.composite
def tokens_on_maps(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(("c", "c", "r", "A", "M", "N", "B", "R", "tanh", "gelu", "silu", "t", "blur")))
    if kind == "t":  # with what may read its four turns, and their maximum
        between = draw(st.sampled_from(("", "-R", "-A3", "-R-t8k3s2", "-gelu-M2-t4k5p2", "-blur")))
        return f"t{draw(WIDTHS)}k{draw(st.integers(1, 15))}{_options(draw, 's', 1, 8)}{between}-T"
    if kind == "c":
        kernel = draw(st.integers(1, 15))
        stride, padding = _options(draw, "s", 1, 8), _options(draw, "p", 0, kernel - 1)
        return f"c{draw(WIDTHS)}k{kernel}{stride}{padding}"
    if kind == "r":
        return f"r{draw(WIDTHS)}{_options(draw, 'x', 1, 6)}"
    if kind in ("A", "M"):
        return f"{kind}{draw(st.integers(1, 15))}{_options(draw, 's', 1, 8)}"
    return kind + (str(draw(st.integers(1, 1024))) if kind == "N" else "")


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """Any string of the grammar, defaults written out or not."""
    start = draw(st.sampled_from(("", "", "unit-", "imagenet-"))) + draw(
        st.sampled_from(("", "", "flip-", "V1-", "flip-V3-"))
    )
    start += draw(
        st.sampled_from(("", "", "", "moments-", "edges1-", "edges4-", "moments-edges2-", "opponent-", "bars2-"))
    )
    maps = draw(st.lists(tokens_on_maps(), max_size=7))
    if draw(st.booleans()):
        return start + "-".join([*maps, "P"])
    flat = st.one_of(WIDTHS.map("h{}".format), st.sampled_from(("R", "tanh", "B", "N8")))
    tail = [*(["G"] if draw(st.booleans()) else []), *draw(st.lists(WIDTHS.map("h{}".format), max_size=1))]
    if tail:
        tail += draw(st.lists(flat, max_size=4))
    return start + "-".join([*maps, *tail, "L"])


@st.composite
def sequence_spellings(draw: st.DrawFn) -> str:
    """Any string of a network of sequences."""

    def layer() -> str:
        kind = draw(st.sampled_from(("gru", "W", "g", "attn", "attn", "h", "R", "tanh", "gelu", "silu")))
        if kind in ("gru", "h"):
            return f"{kind}{draw(WIDTHS)}"
        if kind == "g":
            return f"g{draw(WIDTHS)}k{draw(st.integers(1, 15))}"
        if kind == "attn":
            return f"attn{draw(st.sampled_from((1, 2, 4, 64)))}{_options(draw, 'x', 1, 6)}"
        return kind + (str(draw(st.integers(1, 64))) if kind == "W" else "")

    if draw(st.integers(0, 7)) == 0:
        return "-".join([*(f"K{draw(st.integers(1, 1 << 14))}" for _ in range(draw(st.integers(1, 8)))), "L"])
    return "-".join([f"E{draw(WIDTHS)}", *(layer() for _ in range(draw(st.integers(0, 6)))), "L"])
