"""10,000 MNIST images with labels drawn without looking at them: nothing can be learned, nothing may be claimed."""

import torch

import pacbound as pb
from pacbound.subspace.random import integers


def mnist() -> pb.Examples:
    images = pb.load("mnist").x[:10_000]
    labels = torch.from_numpy(integers(0, "results/random_labels", 10_000, 10))
    return pb.Examples(name="mnist-random-labels", x=images, y=labels, classes=10, preprocess="ink")
