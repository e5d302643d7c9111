"""Text networks of transformers, tiny ones made here: from a folder, and in memory."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from torch import Tensor, nn
from typer.testing import CliRunner

import pacbound as pb
from pacbound.errors import ModelError
from pacbound.models.classifiers import Recorded, TextClassifier, as_classifier
from pacbound.models.foreign import folder_digest
from pacbound.models.loading import load_model
from pacbound.networks.checkpoints import checkpoint_base, load_checkpoint
from pacbound.networks.reading import read_checkpoint
from pacbound.request.request import Request

pytestmark = pytest.mark.one_worker

LENGTH, WORDS, PADDING = 6, 20, 0
TINY = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": WORDS,
    "max_position_embeddings": 8, "pad_token_id": PADDING,
}  # fmt: skip


def made(kind: str, **options: object) -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, kind)(transformers.BertConfig(**TINY, **options)).eval()


def texts(n: int) -> Tensor:
    """n texts of 1 to 6 words, filled up with padding."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, WORDS, (n, LENGTH), generator=generator)
    lengths = torch.randint(1, LENGTH + 1, (n, 1), generator=generator)
    return torch.where(torch.arange(LENGTH) < lengths, ids, PADDING)


@pytest.fixture(scope="module")
def classifier() -> nn.Module:
    return made("BertForSequenceClassification", num_labels=3)


@pytest.fixture(scope="module")
def folder(classifier: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("classifier") / "bert"
    classifier.save_pretrained(path)  # type: ignore[operator]
    return path


@pytest.fixture(scope="module")
def bare() -> nn.Module:
    return made("BertModel")


@pytest.fixture(scope="module")
def saved_encoder(bare: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder")
    bare.save_pretrained(path)  # type: ignore[operator]
    return path


@pytest.fixture
def encoder(saved_encoder: Path, tmp_path: Path) -> Path:
    """A copy of its folder that a test may change."""
    return shutil.copytree(saved_encoder, tmp_path / "encoder")


def alone(network: nn.Module, text: Tensor) -> Tensor:
    """What the network itself says of one text without any padding."""
    return network(input_ids=text[text != PADDING][None])  # type: ignore[no-any-return]


def test_a_folder_gives_the_classifier_that_was_saved(classifier: nn.Module, folder: Path) -> None:
    module, name = load_model(f"hf:{folder}", (LENGTH,), 3)
    load_checkpoint(module, folder)
    with torch.no_grad():
        said = torch.cat([alone(classifier, text).logits for text in texts(5)])
        assert torch.allclose(module(texts(5)), said, atol=1e-5)
    assert name == "user"


def test_a_text_is_answered_alike_whatever_stands_beside_it_and_in_whatever_numbers(folder: Path) -> None:
    module, _ = load_model(f"hf:{folder}", (LENGTH,), 3)
    x = texts(40)
    with torch.no_grad():
        together = module(x)
        assert torch.allclose(torch.cat([module(text[None]) for text in x]), together, rtol=0, atol=1e-6)
        assert torch.equal(module(x.float()), together)
        longer = torch.cat([x, torch.full((len(x), 2), PADDING)], 1)
        assert torch.allclose(module(longer), together, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("chosen", "unit"), [(None, False), ("mean_tokens", False), ("mean_tokens", True), ("cls_token", True)]
)
def test_an_encoder_gets_a_head_on_the_vector_that_its_folder_says(
    encoder: Path, bare: nn.Module, chosen: str | None, unit: bool
) -> None:
    if chosen is not None:
        as_sentences(encoder, chosen, unit)
    module, _ = load_model(f"hf:{encoder}", (LENGTH,), 4)
    load_checkpoint(module, encoder, new_head_seed=3)
    with torch.no_grad():
        for text in texts(4):
            places = alone(bare, text).last_hidden_state[0]
            vector = places[0] if chosen == "cls_token" else places.mean(0)
            if unit:
                vector = vector / vector.norm() * len(vector) ** 0.5
            assert torch.allclose(module(text[None])[0], module.head(vector), atol=1e-5)
    assert not any("pooler" in name for name, _ in module.named_parameters())


def as_sentences(folder: Path, chosen: str, unit: bool) -> None:
    kinds = ["Transformer", "Pooling", *(["Normalize"] if unit else [])]
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": f"{k}_{kind}"} for k, kind in enumerate(kinds)]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    poolings = {f"pooling_mode_{name}": name == chosen for name in ("cls_token", "mean_tokens", "max_tokens")}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 16, **poolings}))


def test_the_digest_covers_how_a_vector_is_made(encoder: Path) -> None:
    digests = {folder_digest(encoder)}
    for chosen, unit in (("mean_tokens", False), ("cls_token", False), ("cls_token", True)):
        as_sentences(encoder, chosen, unit)
        digests.add(folder_digest(encoder))
    assert len(digests) == 4


def with_max(folder: Path) -> None:
    as_sentences(folder, "max_tokens", True)


def with_dense(folder: Path) -> None:
    as_sentences(folder, "mean_tokens", False)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*modules, {"type": "models.Dense", "path": "2_Dense"}]))


def with_pooling_elsewhere(folder: Path) -> None:
    as_sentences(folder, "mean_tokens", False)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "1_Pooling").rename(folder.parent / "1_Pooling")
    (folder / "modules.json").write_text(json.dumps([modules[0], {**modules[1], "path": "../1_Pooling"}]))


def torn(folder: Path) -> None:
    (folder / "modules.json").write_text("{")


def without_padding(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": None}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (with_max, "pooling_mode_max_tokens"),
        (with_dense, "Dense"),
        (with_pooling_elsewhere, "lists modules"),
        (torn, "lists modules"),
        (without_padding, "pad_token_id"),
    ],
)
def test_other_encoders_are_refused(encoder: Path, damage: Callable[[Path], None], says: str) -> None:
    damage(encoder)
    with pytest.raises(ModelError, match=says):
        load_model(f"hf:{encoder}", (LENGTH,), 2)


def test_gradients_of_single_texts_can_be_taken(folder: Path) -> None:
    module, _ = load_model(f"hf:{folder}", (LENGTH,), 3)
    x = texts(5)
    with torch.no_grad():
        assert torch.allclose(torch.func.vmap(lambda text: module(text[None])[0])(x), module(x), atol=1e-6)


def test_a_head_that_the_folder_has_not_is_to_be_drawn(encoder: Path) -> None:
    module, _ = load_model(f"hf:{encoder}", (LENGTH,), 2)
    with pytest.raises(ModelError, match="--new-head"):
        load_checkpoint(module, encoder)


@pytest.mark.parametrize("source", ["hf:bert-base-uncased", "bert-base-uncased"])
def test_a_name_of_the_hub_is_answered_with_what_to_do_offline(source: str) -> None:
    pytest.importorskip("transformers", reason="the extra transformers is not installed")
    with pytest.raises(ModelError, match="hf download bert-base-uncased --local-dir"):
        load_model(source, (LENGTH,), 2)


def test_a_checkpoint_of_the_hub_is_answered_alike() -> None:
    with pytest.raises(ModelError, match="hf download org/net --local-dir"):
        read_checkpoint("org/net")
    with pytest.raises(ModelError, match=r"found none\. Check the path\.$"):
        read_checkpoint("net.safetensors")


def test_a_network_in_memory_is_read_by_its_main_input(classifier: nn.Module, folder: Path) -> None:
    wrapped = as_classifier(classifier, texts(1))
    assert isinstance(wrapped, TextClassifier)
    base = checkpoint_base(wrapped, folder)
    assert base.origin.values == checkpoint_base(wrapped, folder / "model.safetensors").origin.values  # bare names
    assert all(torch.equal(a, b) for a, b in zip(base.module.parameters(), classifier.parameters(), strict=True))


class Answer:
    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


class Record(nn.Module):
    """Somebody's network that returns more than logits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Answer:
        return Answer(self.net(x))


def test_any_record_with_logits_is_read() -> None:
    module = Record()
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    wrapped = as_classifier(module, x)
    assert isinstance(wrapped, Recorded)
    assert torch.equal(wrapped(x), module.net(x))
    assert as_classifier(module.net, x) is module.net
    unfit = nn.Linear(3, 2)
    assert as_classifier(unfit, x) is unfit


def test_a_network_that_makes_masks_of_its_own_is_refused() -> None:
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    sizes = {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": WORDS, "pad_token_id": PADDING}
    sizes |= {"bos_token_id": 1, "eos_token_id": 2}
    network = transformers.GPT2ForSequenceClassification(transformers.GPT2Config(**sizes, num_labels=2))
    with pytest.raises(ModelError, match="from both sides"):
        as_classifier(network, texts(1))


def test_a_text_network_drawn_from_a_seed_is_certified_and_verified(folder: Path, tmp_path: Path) -> None:
    x = texts(30).unique(dim=0)
    data = (x.float(), (x[:, 0] > WORDS // 2).long())
    source = f"hf:{folder}"
    made = pb.certify(source, data, request=Request(d=4, epochs=1, batch=30, encoder="plain"), progress=False)
    made.save(tmp_path / "c.json")
    assert made.hypothesis.base.constants is not None
    assert pb.verify(tmp_path / "c.json", data=data, model=source).require().level == "risk"


def test_a_record_is_certified_and_verified(tmp_path: Path) -> None:
    x = torch.randn(80, 2, generator=torch.Generator().manual_seed(0))
    data = (x, (x.sum(1) > 0).long())
    request = Request(encoder="plain", d=4, epochs=1, batch=40)
    pb.certify(Record(), data, request=request, progress=False).save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=data, model=Record()).require().level == "risk"


def test_texts_are_certified_and_verified_from_a_folder(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    monkeypatch.chdir(tmp_path)
    x = texts(30).unique(dim=0)
    np.savez("texts.npz", x=x.float().numpy(), y=(x[:, 0] > WORDS // 2).long().numpy())
    options = ["--checkpoint", "encoder", "--disjoint", "--new-head", "--encoder", "plain", "--d", "4"]
    options += ["--epochs", "1", "--batch", "30"]
    given = ["--data", "texts.npz"]
    done = CliRunner().invoke(app, ["certify", *given, *options, "-o", "c.json"])
    assert done.exit_code == 0, done.output
    again = ["verify", "c.json", *given, "--checkpoint", "encoder", "--model", "hf:encoder"]
    done = CliRunner().invoke(app, again)
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True), done.output


@pytest.mark.parametrize("name", ["classifier", "encoder"])
def test_a_folder_is_measured_without_data(name: str, folder: Path, encoder: Path) -> None:
    found = pb.measure(folder if name == "classifier" else encoder, input_shape=(LENGTH,), measures=("stable_rank",))
    layers = {layer for measure in found.measures for layer in measure.per_layer}
    assert ("network.classifier" in layers) == (name == "classifier")
    assert any("encoder.layer.0" in layer for layer in layers)
