"""The classifier of scikit-learn: it keeps that contract, and what predicts is what is certified."""

import pickle
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch

import pacbound as pb
from tests.tiny import clouds

pytest.importorskip("sklearn", "1.6", reason="validate_data came with scikit-learn 1.6")

from sklearn.utils.estimator_checks import estimator_checks_generator

from pacbound.integrations.estimator import CertifiedClassifier

Rows = np.ndarray
# minutes each: many fits that must also be good
LONG = ("check_classifiers_train", "check_classifiers_classes", "check_fit_score_takes_y", "check_fit_idempotent")
LITTLE = {"model": "h8-R-L", "d": 8, "epochs": 1, "batch": 100}  # others do not ask for good fits
ELSEWHERE = ("check_array_api_input",)  # needs a switch in the environment of the process


def quick(**options: object) -> CertifiedClassifier:
    """A classifier whose fit takes a second."""
    chosen: dict[str, object] = {
        "model": "h32-R-L", "d": 64, "encoder": "plain", "epochs": 9, "batch": 20, "rate": 0.1, "beta": 0.3, **options
    }  # fmt: skip
    return CertifiedClassifier(**chosen)  # type: ignore[arg-type]


def sample(n: int = 300, seed: int = 0) -> tuple[Rows, Rows]:
    """Clouds whose classes are words."""
    x, y = clouds(n, seed)
    return x.numpy().astype(np.float64), np.array(["one", "three", "two"])[y.numpy()]


def checks() -> list[object]:
    found = []
    forgiving = quick(repeats="the rows of a test of scikit-learn")
    for number, (_, check) in enumerate(estimator_checks_generator(forgiving)):
        name = check.func.__name__
        if name not in ELSEWHERE:
            marks = [pytest.mark.slow] if name in LONG else []
            found.append(pytest.param(check, id=f"{number}-{name}", marks=marks))
    return found


@pytest.mark.parametrize("check", checks())
def test_it_keeps_the_contract_of_scikit_learn(check: Callable[[CertifiedClassifier], None]) -> None:
    asked = check.func.__name__  # type: ignore[attr-defined]
    less = {} if asked in LONG else LITTLE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # it raises where one does not hold
        assert check(quick(repeats="the rows of a test of scikit-learn", **less)) is None


@pytest.fixture(scope="module")
def fitted() -> CertifiedClassifier:
    return quick().fit(*sample())


def test_the_network_that_predicts_is_the_one_that_is_certified(fitted: CertifiedClassifier) -> None:
    x, y = sample()
    wrong = int((fitted.predict(x) != y).sum())
    assert wrong <= fitted.certificate_.risk.errors <= wrong + 3  # near-ties count as errors
    checked = pb.verify(fitted.certificate_, data=fitted.examples(x, y)).require()
    assert checked.level == "risk"
    assert fitted.certificate_.bound.value < 0.6


def test_probabilities_sum_to_one_and_agree_with_the_classes(fitted: CertifiedClassifier) -> None:
    x, _ = sample(50, 1)
    chances = fitted.predict_proba(x)
    assert chances.shape == (50, 3)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert (fitted.classes_[chances.argmax(1)] == fitted.predict(x)).all()


def test_it_predicts_the_same_after_a_pickle(fitted: CertifiedClassifier) -> None:
    x, _ = sample(50, 1)
    again = pickle.loads(pickle.dumps(fitted))
    assert again.certificate_.core_digest == fitted.certificate_.core_digest
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def test_parameters_reach_the_certificate() -> None:
    made = quick(delta=0.01, d=16, random_state=4, projector="sparse").fit(*sample(60)).certificate_
    assert made.bound.delta == 0.01
    projector = made.hypothesis.projector
    if projector is not None:
        assert (projector.d, projector.seed, projector.kind) == (16, 4, "sparse")
    assert made.hypothesis.base.seed == 4


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"delta": 2.0}, "option 'delta'"),
        ({"projector": "fastfod"}, "Did you mean 'fastfood'"),
        ({"model": "h32-R"}, "a network is one of"),
    ],
)
def test_a_refusal_is_a_value_error_with_the_reason(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        quick(**options).fit(*sample(60))


def test_rows_that_repeat_need_the_users_word() -> None:
    x, y = sample(60)
    twice = np.concatenate([x, x]), np.concatenate([y, y])
    with pytest.raises(ValueError, match="repeats"):
        quick().fit(*twice)


def test_it_leaves_no_trace_in_the_global_generators() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    quick(epochs=3).fit(*sample(60))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rows_that_their_own_statistics_scaled_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """A scaler fitted on the rows is a part of the network that no message holds: a pipeline may hide it."""
    x, y = sample()
    scaled = (x - x.mean(0)) / x.std(0)
    assert "its own statistics scaled it" in quick(epochs=1).fit(scaled, y).certificate_.data.note
    assert "its own statistics scaled it" in caplog.text
