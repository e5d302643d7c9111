"""Random labels: the certificate has to say that it is no better than guessing."""

from pathlib import Path

from experiment import run

COMMANDS = {"mnist": ["--data", "labels:mnist", "--model", "lenet"]}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
