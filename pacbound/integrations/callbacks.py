"""Callbacks that certify at the end of a fit and write the figures into its log: for Trainer, and for Lightning.

Both packages are optional and imported when a callback is made.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from torch import nn

from ..certificate.schema import Certificate
from ..errors import RequestError, first_line
from .after_fit import AfterFit, figures

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


def trainer_callback(after: AfterFit) -> "TrainerCallback":
    """Return a callback for the Trainer of transformers. Its `certificate` holds what was made.

    Of a module that returns neither logits nor a record with them give AfterFit(network=...).
    Raises: RequestError where transformers is missing.
    """
    transformers = _optional("transformers", "trainer")

    class CertifyAtEnd(transformers.TrainerCallback):  # type: ignore[name-defined]
        """Certify where the fit ends, once among all processes."""

        certificate: Certificate | None = None

        def on_train_end(
            self,
            args: "TrainingArguments",
            state: "TrainerState",
            control: "TrainerControl",
            model: nn.Module,
            **others: object,  # the Trainer hands over what it likes
        ) -> None:
            """Certify the model that Trainer ends with: the best one, where it loads that at the end."""
            if state.is_world_process_zero:
                self.certificate = after.certify(model)
                state.log_history.append({**figures(self.certificate), "step": state.global_step})

    return CertifyAtEnd()


def lightning_callback(after: AfterFit) -> "Callback":
    """Return a callback for Lightning. Its `certificate` holds what was made; loggers get the figures.

    Raises: RequestError where lightning is missing, or nobody says what of a LightningModule is the network: it holds
        a trainer and settings, and a network holds parameters and buffers alone.
    """
    if after.network is None:
        raise RequestError(
            "lightning: a LightningModule is more than its network, got nothing that says which part of it that is. "
            "Give AfterFit(network=lambda module: module.NAME)."
        )
    lightning = _optional("lightning.pytorch", "lightning")

    class CertifyAtEnd(lightning.Callback):  # type: ignore[name-defined]
        """Certify where the fit ends, once among all processes."""

        certificate: Certificate | None = None

        def on_fit_end(self, trainer: "Trainer", pl_module: "LightningModule") -> None:
            """Certify the network as the fit left it."""
            if trainer.is_global_zero:
                self.certificate = after.certify(pl_module)
                for logger in trainer.loggers:
                    logger.log_metrics(figures(self.certificate), step=trainer.global_step)

    return CertifyAtEnd()


def _optional(package: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as why:
        raise RequestError(
            f"after a fit: its callback needs {package}, which cannot be imported ({first_line(why)}). Install the "
            f"extra: pip install 'pacbound[{extra}]'"
        ) from None
