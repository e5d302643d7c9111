"""Language models by name: descriptions, checkpoints of llama2.c, and tiny networks of transformers made here."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from pacbound.errors import ModelError
from pacbound.models.foreign import folder_digest
from pacbound.models.language import load_language_model
from tests.models.test_llama import write

pytestmark = pytest.mark.one_worker

V = 50
CONFIGS: dict[str, dict[str, int]] = {
    "GPT2Config": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "bos_token_id": 0, "eos_token_id": 0},
    "LlamaConfig": {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 32,
    },
    "BertConfig": {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 32,
    },
}  # fmt: skip


def saved(kind: str, folder: Path) -> tuple[nn.Module, Path]:
    """A network of transformers with values of its own, and the folder where it is saved."""
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(transformers, kind)(vocab_size=V, **CONFIGS[kind])
        network = transformers.AutoModelForCausalLM.from_config(config).eval()
    network.save_pretrained(folder)
    return network, folder


@pytest.mark.parametrize("kind", ["GPT2Config", "LlamaConfig"])
def test_a_folder_gives_the_logits_of_the_network_that_was_saved(kind: str, tmp_path: Path) -> None:
    network, folder = saved(kind, tmp_path / "folder")
    module, name = load_language_model(folder, V)
    ids = torch.randint(0, V, (3, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = module(ids)
        assert torch.allclose(logits, network(input_ids=ids).logits, atol=1e-5)
    assert (name, logits.shape, logits.dtype) == ("user", (3, 20, V), torch.float32)
    assert (module.vocabulary, module.context, module.training) == (V, 32, False)
    again, _ = load_language_model(f"hf:{folder}", 20)  # fewer symbols than it knows
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters(), strict=True))
    assert len(folder_digest(folder)) == 64


def test_half_precision_is_read_into_float32(tmp_path: Path) -> None:
    network, _ = saved("GPT2Config", tmp_path / "whole")
    network.half().save_pretrained(tmp_path / "half")  # type: ignore[operator]
    module, _ = load_language_model(tmp_path / "half", V)
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_descriptions_and_files_are_known_by_their_names(tmp_path: Path) -> None:
    module, name = load_language_model("w2/E8-gru16-L", 65)
    assert (name, sum(p.numel() for p in module.parameters()), module.training) == ("E16-gru32-L", 7985, False)
    module, name = load_language_model(write(tmp_path / "made.bin"), 11)
    assert (name, module.vocabulary) == ("user", 11)


def test_what_is_no_language_model_or_not_all_of_it_is_refused(tmp_path: Path) -> None:
    for source, said in (("h8-R-L", "starts with E"), ("hf:" + str(tmp_path / "none"), "found none called none")):
        with pytest.raises(ModelError, match=said):
            load_language_model(source, V)
    with pytest.raises(ModelError, match=r"knows 11 symbols and the alphabet has 12.*tokenizer"):
        load_language_model(write(tmp_path / "made.bin"), 12)
    network, _ = saved("LlamaConfig", tmp_path / "whole")
    network.model.save_pretrained(tmp_path / "headless")  # type: ignore[union-attr, operator]
    with pytest.raises(ModelError, match="every weight of its language model, lm_head"):
        load_language_model(tmp_path / "headless", V)
    config = tmp_path / "whole" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModelForCausalLM": "evil.Net"}}))
    (tmp_path / "whole" / "evil.py").write_text("raise SystemExit('code of a folder was run')\n")
    module, _ = load_language_model(tmp_path / "whole", V)  # code beside the weights is not run
    assert module.vocabulary == V
    config.write_text('{"model_type": "vit"}')
    with pytest.raises(ModelError, match="language model of transformers"):
        load_language_model(tmp_path / "whole", V)
