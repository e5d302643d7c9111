"""A head of means over rows of a checkpoint's own: the rule for names, the means, and what a certificate of it says."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import pacbound as pb
from pacbound.data.examples import Examples
from pacbound.data.preprocess import preprocessed
from pacbound.errors import ModelError, RequestError
from pacbound.models.own_head import by_names, means, names_in
from pacbound.networks.checkpoints import checkpoint_base, rebuild_base
from pacbound.specs.head import HeadSpec
from pacbound.specs.preprocess import PreprocessSpec
from tests.forge import Document, forge
from tests.tiny import CLASSES, FEATURES, clouds, quick

pytestmark = pytest.mark.one_worker

ROWS = (
    "tabby, tabby cat",
    "Fire engine; fire-truck",
    "horse cart, horse-cart",
    "pick-up truck",
    "Siamese CAT",
    "polecat",
)


def wide(rows: int = 5) -> nn.Sequential:
    """A network for other classes, which knows those of the clouds as two of its rows each but the last."""
    net = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, rows))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(FEATURES))
        net[0].bias.zero_()
        net[1].weight.zero_()
        net[1].bias.copy_(torch.linspace(-0.1, 0.1, rows))
        for row in range(rows):
            net[1].weight[row, row * CLASSES // rows] = 1 + row
    return net


def narrow() -> nn.Sequential:
    return nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES, CLASSES))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A vision transformer of six classes with names, at random."""
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.ViTConfig(
            **tiny, image_size=4, patch_size=4, num_channels=1, id2label=dict(enumerate(ROWS)), num_labels=len(ROWS)
        )
        transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def test_a_row_belongs_to_a_class_where_its_name_ends_in_that_of_the_class() -> None:
    found = by_names(ROWS, ("cat", "TRUCK/lorry", "horse", "cart, wagon"))
    assert found == HeadSpec(of=6, named=True, rows=((0, 4), (1, 3), (), (2,)))


@pytest.mark.parametrize("classes", [("0", "1"), ("cow", "gnu"), ("", "/,")])
def test_names_that_lead_to_no_row_are_refused(classes: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match="names of rows end in names of classes"):
        by_names(ROWS, classes)


def test_rows_are_averaged_as_fractions_are() -> None:
    values = torch.arange(12.0).reshape(4, 3) / 7
    made = means(values, HeadSpec(of=4, rows=((1,), (0, 2, 3), ())))
    exact = [
        [sum(float(values[row, k]) for row in rows) / len(rows) for k in range(3)]
        for rows in ([1], [0, 2, 3], range(4))
    ]
    assert made.dtype == torch.float32
    assert torch.allclose(made, torch.tensor(exact), rtol=1e-6, atol=0)
    assert torch.equal(made[0], values[1])


def test_rows_named_by_the_user_are_paid_and_their_certificate_stands_with_the_file(tmp_path: Path) -> None:
    torch.save(wide().state_dict(), tmp_path / "w.pt")
    common = {"checkpoint": str(tmp_path / "w.pt"), "disjoint": True, "d": 2, "epochs": 1}
    asked = quick(**common, head_rows=("0+1", "2-3", "4"))
    made = pb.certify(narrow(), clouds(), request=asked, progress=False)
    bits = {entry.item: entry.bits for entry in made.entries}
    assert made.hypothesis.base.head == HeadSpec(of=5, rows=((0, 1), (2, 3), (4,)))
    assert bits["head"] == 1 + 3 * 3 + 4 + 4 + 3  # a flag; gammas of 2, 2 and 1; sets of 10, 10 and 5
    assert made.risk.errors < 30  # of 120: it knows the clouds
    assert "class names" not in bits
    given = {"data": clouds(), "model": narrow(), "checkpoint": tmp_path / "w.pt"}
    assert pb.verify(made, **given).require().level == "risk"
    torch.save({**wide().state_dict(), "1.bias": torch.zeros(5)}, tmp_path / "other.pt")
    assert pb.verify(made, **{**given, "checkpoint": tmp_path / "other.pt"}).failed == "checkpoint"


def test_a_certificate_that_says_other_rows_than_its_message_does_not_stand(tmp_path: Path) -> None:
    torch.save(wide().state_dict(), tmp_path / "w.pt")
    asked = quick(checkpoint=str(tmp_path / "w.pt"), disjoint=True, d=2, epochs=1, head_rows=("0", "2", "4"))
    made = pb.certify(narrow(), clouds(), request=asked, progress=False)

    def other_rows(document: Document) -> None:
        document["hypothesis"]["base"]["head"]["rows"] = [[0], [3], [4]]

    def free_of_charge(document: Document) -> None:
        document["hypothesis"]["base"]["head"]["named"] = True

    def of_more(document: Document) -> None:
        document["hypothesis"]["base"]["head"]["of"] = 9

    for change in (other_rows, free_of_charge, of_more):
        assert not pb.verify(forge(made, change, tmp_path / "c.json"), level="message").stands


def test_a_head_that_says_that_the_file_has_more_rows_is_refused(tmp_path: Path) -> None:
    torch.save(wide().state_dict(), tmp_path / "w.pt")
    base = checkpoint_base(narrow(), tmp_path / "w.pt", own_head=HeadSpec(of=5, rows=((0,), (2,), (4,))))
    assert rebuild_base(narrow(), base.origin, tmp_path / "w.pt").origin == base.origin
    for of, rows in ((6, ((0,), (2,), (4,))), (5, ((0,), (2,), (3,)))):
        origin = base.origin.model_copy(update={"head": HeadSpec(of=of, rows=rows)})
        with pytest.raises(ModelError, match=r"rows of 1\.weight|has values"):
            rebuild_base(narrow(), origin, tmp_path / "w.pt")


def pets() -> Examples:
    x = torch.arange(30 * 16, dtype=torch.float32).reshape(30, 1, 4, 4).sin()
    return Examples("pets", x, torch.arange(30) % 3, classes=3, labels=("cat", "horse", "truck"))


def test_rows_by_names_cost_a_bit_and_are_found_again_from_folder_and_data(folder: Path, tmp_path: Path) -> None:
    assert names_in(folder) == ROWS
    asked = quick(checkpoint=str(folder), disjoint=True, head_rows=("names",), train="head", d=2, epochs=1)
    made = pb.certify(f"hf:{folder}", pets(), request=asked, progress=False)
    assert made.hypothesis.base.head == HeadSpec(of=6, named=True, rows=((0, 4), (), (1, 3)))
    assert {entry.item: entry.bits for entry in made.entries}["head"] == 1
    assert any("names that the data set shipped with" in sentence for sentence in made.declarations)
    assert pb.verify(made, data=pets(), checkpoint=folder).require().level == "risk"

    def chosen(document: Document) -> None:  # rows that somebody liked better, under the flag that costs nothing
        document["hypothesis"]["base"]["head"]["rows"] = [[0, 4], [2], [1, 3]]

    liked = forge(made, chosen, tmp_path / "c.json")
    assert pb.verify(liked, level="message").stands  # which only who has the folder can see
    result = pb.verify(liked, data=pets(), checkpoint=folder)
    assert result.failed == "network"
    assert "by their names are other ones" in (result.reason or "")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"head_rows": ("0", "1")}, "rows for each of the 3 classes, got 2"),
        ({"head_rows": ("0", "1", "x")}, "numbers and ranges"),
        ({"head_rows": ("0", "1", "5")}, "ascending numbers below 5"),
        ({"head_rows": ("0", "1", "2"), "new_head": True}, "nothing drew or trained"),
        ({"head_rows": ("0", "1", "2"), "prior_share": 0.5}, "nothing drew or trained"),
        ({"head_rows": ("0", "1", "2"), "checkpoint": None, "disjoint": False}, "--head-rows is about a checkpoint"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, options: dict[str, object], reason: str) -> None:
    torch.save(wide().state_dict(), tmp_path / "w.pt")
    asked = quick(**{"checkpoint": str(tmp_path / "w.pt"), "disjoint": True, **options})
    with pytest.raises(RequestError, match=reason):
        pb.certify(narrow(), clouds(), request=asked, progress=False)


def test_names_are_those_of_a_folder(tmp_path: Path) -> None:
    torch.save(wide().state_dict(), tmp_path / "w.pt")
    asked = quick(checkpoint=str(tmp_path / "w.pt"), disjoint=True, head_rows=("names",))
    with pytest.raises(ModelError, match="Name the rows themselves"):
        pb.certify(narrow(), clouds(), request=asked, progress=False)
    for said in ({}, {"id2label": {"1": "a"}}, {"id2label": {"0": 3}}, {"id2label": []}):
        (tmp_path / "config.json").write_text(json.dumps(said))
        with pytest.raises(ModelError, match="id2label with every number"):
            names_in(tmp_path)


class Sighted(nn.Module):
    """The picture side of a CLIP under a linear head, as docs/methods/priors.md has it."""

    def __init__(self, clip: nn.Module, classes: int) -> None:
        super().__init__()
        self.clip, self.head = clip, nn.Linear(clip.config.projection_dim, classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.clip.get_image_features(pixel_values=x)  # type: ignore[operator]
        logits: Tensor = self.head(functional.normalize(getattr(seen, "pooler_output", seen)))
        return logits


def test_a_head_from_text_embeddings_is_a_checkpoint_that_answers_as_both_sides_do(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    words = {"vocab_size": 12, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 11, "pad_token_id": 0}
    config = transformers.CLIPConfig(
        text_config={**tiny, **words}, vision_config={**tiny, "image_size": 8, "patch_size": 4}, projection_dim=8
    )
    names = torch.tensor([[1, 5, 11], [1, 6, 11], [1, 7, 11]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = transformers.CLIPModel(config).eval()
        x = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
    with torch.no_grad():
        said = clip.get_text_features(input_ids=names)
        made = Sighted(clip, 3).eval()
        made.head.weight.copy_(clip.logit_scale.exp() * functional.normalize(getattr(said, "pooler_output", said)))
        whole = clip(input_ids=names, pixel_values=preprocessed(x, PreprocessSpec(name="clip"))).logits_per_image
    torch.save(made.state_dict(), tmp_path / "clip.pt")
    asked = quick(
        checkpoint=str(tmp_path / "clip.pt"), disjoint=True, train="head", preprocess="clip", d=2, rate=1e-9, epochs=1
    )
    y = torch.cat([whole.argmax(1)[:8], (whole.argmax(1)[8:] + 1) % 3])
    empty = Sighted(transformers.CLIPModel(config), 3).eval()
    cert = pb.certify(empty, (x, y), request=asked.model_copy(update={"classes": 3}), progress=False)
    assert cert.risk.errors == 4  # theta0, at w = 0
    assert any("fixed before the sample was seen" in sentence for sentence in cert.declarations)
    given = {"data": (x, y), "model": empty, "checkpoint": tmp_path / "clip.pt"}
    assert pb.verify(cert, **given).require().level == "risk"
