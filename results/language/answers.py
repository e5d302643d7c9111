"""What stories260K learns to answer: which toy a sentence told of. One certificate, in minutes.

    python results/language/answers.py FOLDER     writes pairs.jsonl and test.jsonl there, answers.json beside this file

Pairs are drawn independently from a source written here, seed 0, held-out ones from seed 1, the same on every machine.
"""

import json
import random
import sys
from pathlib import Path

from pacbound.data.roots import data_root
from pacbound.methods.language import certify_language
from pacbound.request.request import Request

NAMES = ("Lily", "Tim", "Ben", "Mia", "Sam", "Tom", "Anna", "Max", "Sue", "Jack", "Lucy", "Bob", "Amy", "Jane", "Sara")
TOYS = ("ball", "car", "doll", "hat", "toy", "box", "book", "cake", "boat", "kite")
COLOURS = ("red", "blue", "green", "big", "small", "pretty", "old", "new", "shiny", "yellow")
OPTIONS = {
    "task": "lm", "statement": "answers", "disjoint": True, "d": 96, "rate": 0.02, "context": 64, "batch": 16,
    "epochs": 2, "repeats": "the source has 22,500 prompts, drawn with replacement",
}  # fmt: skip


def write(path: Path, pairs: int, seed: int) -> str:
    """Write pairs of the source; random() is the same everywhere."""
    rng, rows = random.Random(seed), []

    def one_of(words: tuple[str, ...]) -> str:
        return words[int(rng.random() * len(words))]

    for _ in range(pairs):
        name, toy, colour, other = one_of(NAMES), one_of(TOYS), one_of(COLOURS), one_of(NAMES)
        prompt = f"{name} had a {colour} {toy}. {other} wanted to play with the"
        rows.append(json.dumps({"prompt": prompt, "answer": f" {toy}."}) + "\n")
    path.write_text("".join(rows), "utf-8")
    return str(path)


def main(folder: Path) -> None:
    """Write the pairs and the certificate."""
    checkpoints = data_root(None) / "checkpoints" / "stories260K"
    given = {
        "data": write(folder / "pairs.jsonl", 6000, 0), "test": write(folder / "test.jsonl", 1000, 1),
        "checkpoint": str(checkpoints / "stories260K.bin"), "tokenizer": str(checkpoints / "tok512.bin"),
    }  # fmt: skip
    certificate = certify_language(Request.model_validate({**OPTIONS, **given}))
    certificate.save(Path(__file__).with_suffix(".json"))
    print(certificate.statement)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
