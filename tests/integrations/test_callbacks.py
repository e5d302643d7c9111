"""At the end of a fit by Trainer or Lightning: the fitted network, coded directly or bounded by a surrogate."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import pacbound as pb
from pacbound.errors import RequestError
from pacbound.integrations.after_fit import AfterFit, figures
from pacbound.integrations.callbacks import lightning_callback, trainer_callback
from pacbound.request.request import Request
from tests.tiny import clouds, network

N, M = 240, 150
DIRECT = Request(method="direct", epochs=6, batch=60)


class Loss(nn.Module):
    """What Trainer trains: the network with its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Rows(torch.utils.data.Dataset[dict[str, Tensor]]):
    def __init__(self) -> None:
        self.x, self.y = clouds(N)

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"x": self.x[index], "labels": self.y[index]}


def net_of(module: nn.Module) -> nn.Module:
    inner = module.net
    assert isinstance(inner, nn.Module)
    return inner


def after(folder: Path, **options: object) -> AfterFit:
    chosen: dict[str, object] = {"request": DIRECT, "network": net_of, **options}
    return AfterFit(clouds(N), folder / "c.json", **chosen)  # type: ignore[arg-type]


def errors_of(module: nn.Module) -> int:
    x, y = clouds(N)
    return int((module(x).argmax(1) != y).sum())


def test_what_the_fit_made_is_coded_and_left_as_it_is(tmp_path: Path) -> None:
    fitted = Loss()
    optimizer = torch.optim.Adam(fitted.parameters(), 0.05)
    for _ in range(30):
        optimizer.zero_grad()
        fitted(*clouds(N))["loss"].backward()
        optimizer.step()
    before = {name: value.clone() for name, value in fitted.state_dict().items()}
    made = after(tmp_path).certify(fitted)
    assert made.hypothesis.base.kind == "zero"  # nothing of the fit is in the prior
    assert all(torch.equal(before[name], value) for name, value in fitted.state_dict().items())
    assert made.risk.errors <= errors_of(fitted.net) + N // 20
    assert pb.verify(tmp_path / "c.json", data=clouds(N), model=network()).require().level == "risk"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json"]
    assert figures(made)["certified/bits"] == made.ledger.bits


def test_a_surrogate_is_about_the_weights_as_they_are(tmp_path: Path) -> None:
    request = Request(
        method="surrogate", surrogate="mlp", earlier_looks=0, encoder="plain", d=16, epochs=8, batch=60, rate=0.1
    )
    inputs = clouds(M, 7)[0]
    made = after(tmp_path, request=request, unlabelled=inputs).certify(Loss())
    assert made.comparison is not None
    checked = pb.verify(
        tmp_path / "c.json", data=clouds(N), model=network(), checkpoint=tmp_path / "c.safetensors", unlabelled=inputs
    )
    assert checked.require().level == "risk"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"request": Request()}, "the network has seen the sample"),
        ({"request": Request(method="auto")}, "the network has seen the sample"),
        ({"request": DIRECT.model_copy(update={"disjoint": True})}, "Leave them out"),
        ({"request": DIRECT.model_copy(update={"base": "values"})}, "Leave them out"),
        ({"request": DIRECT.model_copy(update={"checkpoint": "a.pt"})}, "Leave them out"),
        ({"request": Request(method="surrogate", earlier_looks=0)}, "Give unlabelled"),
        ({"request": Request(method="surrogate"), "unlabelled": clouds(M, 7)[0]}, "Give unlabelled"),
    ],
)
def test_what_a_fitted_network_cannot_have_is_refused_before_the_fit(
    options: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=complaint):
        after(tmp_path, **options)


def test_a_missing_folder_is_refused_before_the_fit(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the folder of output exists"):
        after(tmp_path / "none")


@pytest.mark.one_worker
def test_trainer_ends_with_a_certificate_and_logs_it(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="Trainer is optional")
    pytest.importorskip("accelerate", reason="Trainer needs accelerate")
    callback, model = trainer_callback(after(tmp_path)), Loss()
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "trainer"), num_train_epochs=4, per_device_train_batch_size=30, learning_rate=0.05,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=Rows(), callbacks=[callback])
    trainer.train()
    made = callback.certificate
    assert made is not None
    assert pb.Certificate.load(tmp_path / "c.json") == made
    logged = [entry for entry in trainer.state.log_history if "certified/bound" in entry]
    assert [entry["certified/bound"] for entry in logged] == [made.bound.value]
    assert errors_of(model.net) < N / 10  # it was fitted
    assert made.risk.errors < N / 5
    assert pb.verify(made, data=clouds(N), model=network()).stands


def test_lightning_ends_with_a_certificate_and_logs_it(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch", reason="lightning is optional")
    from lightning.pytorch.loggers import CSVLogger

    class Task(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 0.05)

    callback, task = lightning_callback(after(tmp_path)), Task()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's own, of what it calls in torch and of data loaders
        trainer = lightning.Trainer(
            max_epochs=4, accelerator="cpu", callbacks=[callback], logger=CSVLogger(tmp_path),
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, log_every_n_steps=1,
        )  # fmt: skip
        trainer.fit(task, DataLoader(TensorDataset(*clouds(N)), batch_size=30, shuffle=True))
    made = callback.certificate
    assert made is not None
    assert made.risk.errors < N / 5
    assert pb.verify(tmp_path / "c.json", data=clouds(N), model=network()).stands
    (log,) = tmp_path.rglob("metrics.csv")
    assert "certified/bound" in log.read_text()


def test_lightning_needs_to_be_told_which_part_is_the_network(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="which part of it that is"):
        lightning_callback(after(tmp_path, network=None))


@pytest.mark.parametrize(
    ("make", "package"), [(trainer_callback, "transformers"), (lightning_callback, "lightning.pytorch")]
)
def test_a_missing_package_is_named_with_its_extra(
    make: object, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(RequestError, match=rf"needs {package}.*pip install 'pacbound\["):
        make(after(tmp_path))  # type: ignore[operator]
