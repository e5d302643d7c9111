"""A context tree as a network, against one of dictionaries."""

import torch

from pacbound.models.sequences import sequence_network

V, CONTEXTS = 5, {(): 1, (3,): 2, (0,): 3, (0, 3): 4, (4, 3): 5, (2, 4, 3): 6}  # the last symbol last


def made() -> tuple[torch.nn.Module, dict[tuple[int, ...], torch.Tensor]]:
    """The network of CONTEXTS with logits of their own, and these by context."""
    network = sequence_network("K2-K2-K1-L", V).eval()
    by_context = {
        context: torch.randn(V, generator=torch.Generator().manual_seed(seed)) for context, seed in CONTEXTS.items()
    }
    own = dict(network.named_parameters())
    rows: list[tuple[int, ...]] = [()]
    with torch.no_grad():
        own["0.root"].copy_(by_context[()])
        for k in range(3):
            longer = []
            for row, context in enumerate(rows):
                for symbol in range(V):
                    if (symbol, *context) in CONTEXTS:
                        own[f"0.branches.{k}"][row, symbol] = 1
                        own[f"0.logits.{k}"][len(longer)] = by_context[(symbol, *context)]
                        longer.append((symbol, *context))
            rows = longer
    return network, by_context


def test_logits_are_sums_over_the_contexts_that_the_text_ends_with() -> None:
    network, by_context = made()
    ids = torch.randint(0, V, (20, 12), generator=torch.Generator().manual_seed(9))
    ids[0, :4] = torch.tensor([2, 4, 3, 0])
    with torch.no_grad():
        logits = network(ids)
    for row, text in enumerate(ids.tolist()):
        for t in range(len(text)):
            past, k = tuple(text[: t + 1]), 0
            expected = by_context[()].clone()
            while k < len(past) and past[len(past) - k - 1 :] in by_context:
                k += 1
                expected += by_context[past[len(past) - k :]]
            assert torch.allclose(logits[row, t], expected, atol=1e-6), (text, t)


def test_flags_that_do_not_fit_the_number_of_contexts_still_make_a_network() -> None:
    """A message may say anything: what it decodes to is a function of the past, whatever it is."""
    network, _ = made()
    own = dict(network.named_parameters())
    with torch.no_grad():
        own["0.branches.1"].fill_(1)
        assert network(torch.randint(0, V, (4, 9))).isfinite().all()


def test_texts_shorter_than_its_contexts_are_answered_like_the_beginnings_of_longer_ones() -> None:
    network = sequence_network("-".join(["K1"] * 8 + ["L"]), V).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=torch.Generator().manual_seed(1)).round())
        ids = torch.randint(0, V, (6, 12), generator=torch.Generator().manual_seed(2))
        whole = network(ids)
        for length in range(1, 12):
            assert torch.equal(network(ids[:, :length]), whole[:, :length]), length
