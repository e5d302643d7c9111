"""Train a small recurrent network on the test part of WikiText-2, without what is no ASCII: theta0 of
shakespeare_gru32_wikitext, 38 KB beside it.
"""

import tempfile
from pathlib import Path

from torch.func import functional_call

from pacbound.data.texts import find_text, map_symbols
from pacbound.models.language import load_language_model
from pacbound.models.reference import initialise
from pacbound.networks.frozen import freeze_network
from pacbound.pipeline.language_start import RATE, train_text
from pacbound.pipeline.language_training import BATCH, LENGTH, losses_on
from pacbound.request.request import Request
from pacbound.specs.language import PredictionSpec, place_of_window
from pacbound.training.state import Checkpoint

MODEL, CONTEXT, PASSES = "E16-gru32-L", 256, 10

if __name__ == "__main__":
    raw = find_text("wikitext-2:test", None)[1].read_bytes()
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(raw.decode("utf-8").encode("ascii", "ignore"))
        file.flush()
        text = map_symbols(file.name, "ascii97", None, None)
    network, _ = load_language_model(MODEL, text.alphabet.predicted)
    initialise(network, 0)
    window = PredictionSpec(alpha=0, kappa=0, context=place_of_window(CONTEXT), stride=3)
    losses = losses_on(text, None, window, lambda tensors, ids: functional_call(network, tensors, (ids,)), Request())
    steps = PASSES * text.n // (BATCH * LENGTH)
    train_text(network, losses, steps, RATE, BATCH * LENGTH, Checkpoint(None, ""))
    (Path(__file__).parent / "theta0_wikitext.safetensors").write_bytes(freeze_network(network))
