"""A classifier of scikit-learn that comes with a certificate.

>>> from pacbound.integrations.estimator import CertifiedClassifier
>>> CertifiedClassifier(delta=0.01).get_params()["delta"]
0.01
"""

from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..certificate.schema import Certificate
from ..data.examples import Examples
from ..errors import PacboundError
from ..methods.table import certify
from ..models.loading import load_model
from ..networks.hypothesis import Hypothesis, make_base
from ..request.request import make_request

BATCH = 256  # rows that the network is asked about at once


class CertifiedClassifier(ClassifierMixin, BaseEstimator):
    """A network that is trained in a random subspace, coded, and decoded again; what is decoded predicts.

    Every row of X is an independent draw from the source that new rows come from, or the certificate says nothing.
    The features are read as they are. A scaler that was fitted on the same rows is part of the network and stands in
    no message: scale by constants that were fixed beforehand, or fit the scaler on other rows. The same holds for
    searching over own preprocessing; of the parameters below all but delta and repeats may be searched: each value is
    paid in the message, or only helps to find one.

    Args: model: a description (h64-R-L) or the name of a reference network. d, projector: of the subspace. encoder,
        epochs, batch, rate, beta: of training. random_state: of theta0 and the projector; coded. delta: the statement
        fails with this probability. repeats: why more than 1 % of the rows repeat others, in the user's words.

    After fit: certificate_ (a pacbound.Certificate), classes_, n_features_in_.
    """

    def __init__(
        self,
        model: str = "auto",
        *,
        d: int | None = None,
        projector: str | None = None,
        encoder: Literal["posterior", "plain", "codebook"] = "posterior",
        epochs: int | None = None,
        batch: int | None = None,
        rate: float = 0.005,
        beta: float = 3.0,
        delta: float = 0.05,
        repeats: str | None = None,
        random_state: int = 0,
    ) -> None:
        """Keep the parameters; fit checks them."""
        self.model = model
        self.d = d
        self.projector = projector
        self.encoder = encoder
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.beta = beta
        self.delta = delta
        self.repeats = repeats
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # scikit-learn's names
        """Train, code and certify.

        Args: X: (n, features), numbers. y: (n,), classes.
        Raises: ValueError where scikit-learn or pacbound refuses, with the reason.
        """
        rows, labels = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ValueError(
                f"CertifiedClassifier: there are two classes or more, got one class, {self.classes_[0]!r}."
            )
        try:
            self.certificate_ = self._certify(self._examples(rows, labels))
        except PacboundError as refusal:
            raise ValueError(str(refusal)) from refusal
        return self

    def examples(self, X: ArrayLike, y: ArrayLike) -> Examples:
        """Return rows and labels as `pacbound.verify(classifier.certificate_, data=...)` takes them."""
        check_is_fitted(self)
        rows, labels = validate_data(self, X, y, dtype=np.float32, reset=False)
        return self._examples(rows, labels)

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Return the class of each row, (n,), by the decoded network."""
        best = self._logits(X).argmax(1).numpy()
        chosen: NDArray[np.generic] = self.classes_[best]
        return chosen

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the softmax of the decoded network, (n, classes). The certificate is about `predict` alone."""
        return self._logits(X).double().softmax(1).numpy()

    def _certify(self, examples: Examples) -> Certificate:
        names = ("model", "d", "projector", "encoder", "epochs", "batch", "rate", "beta", "delta", "repeats")
        options = {name: getattr(self, name) for name in names} | {"seed": self.random_state}
        request = make_request(options, "CertifiedClassifier")
        with torch.random.fork_rng(devices=[]):  # layers draw values when they are made, which theta0 then replaces
            return certify(None, examples, request=request, progress=False)

    def _examples(self, rows: NDArray[np.float32], labels: NDArray[np.generic]) -> Examples:
        y = torch.from_numpy(np.searchsorted(self.classes_, labels).astype(np.int64))
        return Examples("user", torch.from_numpy(np.ascontiguousarray(rows)), y, classes=len(self.classes_))

    def _logits(self, X: ArrayLike) -> torch.Tensor:
        """Decode the network from the certificate and ask it."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float32, reset=False)
        certificate, classes = self.certificate_, len(self.classes_)
        with torch.random.fork_rng(devices=[]):
            module, _ = load_model(certificate.hypothesis.model, rows.shape[1:], classes)
        network = Hypothesis.unpack(
            certificate.payload(), certificate.hypothesis, make_base(module, certificate.hypothesis.base.seed)
        )
        asked = torch.from_numpy(np.ascontiguousarray(rows)).split(BATCH)
        return torch.cat([network(_filled(batch))[: len(batch), :classes] for batch in asked])


def _filled(batch: torch.Tensor) -> torch.Tensor:
    """Add rows of zeros up to BATCH: products of one shape round alike, whatever else is asked with a row."""
    return torch.cat([batch, batch.new_zeros(BATCH - len(batch), *batch.shape[1:])])
