"""Language models: a text from scratch, and a checkpoint adapted to two texts. Texts and checkpoints lie in the data
root (PACBOUND_DATA). theta0.py makes theta0_wikitext.safetensors, positions.py is the corpus that is too large to be
evaluated, quantization.py what a quantized checkpoint loses.
"""

import sys
from pathlib import Path

from pacbound.data.roots import data_root

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

STORIES = data_root(None) / "checkpoints" / "stories260K"
SHAKESPEARE = ["--task", "lm", "--data", "tinyshakespeare", "--held-out", "0.1"]
ADAPTED = ["--checkpoint", str(STORIES / "stories260K.bin"), "--tokenizer", str(STORIES / "tok512.bin"), "--disjoint"]
LATTICE = ["--encoder", "plain"]
VALID = ["--task", "lm", "--data", "wikitext-2:valid", "--test", "wikitext-2:test"]
COMMANDS = {
    "shakespeare_gru48": [*SHAKESPEARE, "--alphabet", "ascii97", "--model", "E16-gru48-L", "--epochs", "80"],
    "shakespeare_gru64": [*SHAKESPEARE, "--alphabet", "ascii97", "--model", "E16-gru64-L", "--epochs", "24"],
    "shakespeare_stories": [*SHAKESPEARE, *ADAPTED, "--d", "2048", "--budget", "4", *LATTICE],
    "shakespeare_stories_512": [*SHAKESPEARE, *ADAPTED, "--d", "512", "--epochs", "4"],
    "shakespeare_stories_512_lattice": [*SHAKESPEARE, *ADAPTED, "--d", "512", "--epochs", "4", *LATTICE],
    "shakespeare_stories_split": [
        *SHAKESPEARE, *ADAPTED, "--prior-share", "0.5", "--start-minutes", "5", "--d", "128", "--epochs", "1",
    ],
    "shakespeare_window4": [*SHAKESPEARE, "--alphabet", "ascii97", "--model", "E8-W4-h24-tanh-L", "--epochs", "24"],
    "shakespeare_window6": [*SHAKESPEARE, "--alphabet", "ascii97", "--model", "E8-W6-h64-tanh-L", "--epochs", "12"],
    "shakespeare_window8_subspace": [
        *SHAKESPEARE, "--alphabet", "ascii97", "--model", "E8-W8-h64-tanh-L", "--d", "2048", "--epochs", "9",
    ],
    "shakespeare_gpt_subspace": [
        *SHAKESPEARE, "--alphabet", "ascii97", "--model", "E48-attn4x2-L", "--d", "2048", "--epochs", "9",
    ],
    "shakespeare_tree": [*SHAKESPEARE, "--alphabet", "ascii97", "--model", "tree4"],
    "shakespeare_gpt_sublora": [
        *SHAKESPEARE, "--alphabet", "ascii97", "--model", "E48-attn4x2-L", "--train", "lora:4", "--d", "2048",
        "--epochs", "3",
    ],
    "shakespeare_gru32_wikitext": [
        *SHAKESPEARE, "--alphabet", "ascii97", "--model", "E16-gru32-L", "--checkpoint", "theta0_wikitext.safetensors",
        "--disjoint", "--encoder", "weights", "--epochs", "12",
    ],
    "shakespeare_split": [
        *SHAKESPEARE, "--alphabet", "ascii97", "--model", "E16-gru96-L", "--prior-share", "0.5", "--d", "512",
        "--epochs", "2",
    ],
    "wikitext_positions": [
        "--task", "lm", "--data", "wikitext-2:valid", "--statement", "positions", "--positions", "200000",
        "--context", "8", "--model", "E8-W4-h24-tanh-L", "--epochs", "4",
    ],
    "wikitext_gru48": [*VALID, "--model", "E16-gru48-L", "--epochs", "20"],
    "wikitext_stories": [*VALID, *ADAPTED, "--d", "2048", "--budget", "4", *LATTICE],
}  # fmt: skip

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
