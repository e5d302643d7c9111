"""A context tree as a network: the longest context that it has decides on the logits of the next symbol."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ContextTree(nn.Module):
    """The logits of the root plus those of all contexts that the symbols so far end with.

    Parameters: root (V,); of the contexts of k symbols, branches.{k - 1} (contexts of k - 1 symbols, V), above 1/2
    where a context goes on with this earlier symbol, and logits.{k - 1} (contexts, V). Contexts are numbered in the
    order of their branches, row by row.
    """

    def __init__(self, contexts: Sequence[int], vocabulary: int) -> None:
        """Args: contexts: how many there are of 1, 2, ... symbols. vocabulary: V."""
        super().__init__()
        before = [1, *contexts[:-1]]
        self.root = nn.Parameter(torch.zeros(vocabulary))
        self.branches = nn.ParameterList(torch.zeros(count, vocabulary) for count in before)
        self.logits = nn.ParameterList(torch.zeros(count, vocabulary) for count in contexts)

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (batch, T) in [0, V) to logits (batch, T, V) of the next symbol."""
        context, there = torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool)
        out = self.root.expand(*ids.shape, -1)
        for k, (children, logits) in enumerate(zip(self.branches, self.logits, strict=True)):
            earlier = torch.zeros_like(ids)
            earlier[:, k:] = ids[:, : max(0, ids.shape[1] - k)]
            flags = children > 0.5
            numbers = (flags.flatten().cumsum(0) - 1).clamp(0, len(logits) - 1).view_as(children)
            there = there & flags[context, earlier]
            there[:, :k] = False  # nothing stands before the first symbol
            context = torch.where(there, numbers[context, earlier], 0)
            out = out + logits[context] * there[..., None]
        return out
