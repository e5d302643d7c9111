"""Method auto: the list is fixed before anything runs, paid by each, and shown."""

from pathlib import Path
from typing import Any

import pytest

import pacbound as pb
from pacbound.errors import RequestError, StateError
from pacbound.methods.auto import OPTIONS, announced, listed, part_of
from pacbound.methods.work import Work
from pacbound.reports.show import render
from tests.forge import caught, forge
from tests.methods.task import N, arguments, request, save_original, unlabelled
from tests.tiny import clouds, network

pytestmark = pytest.mark.usefixtures("brief_start")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_original(tmp_path_factory.mktemp("original"))


def run(file: Path, state: Path | None = None, **options: Any) -> pb.Certificate:
    little = {"epochs": 3, "pick_steps": 25, "pick_epochs": 0, "max_picks": 20}
    asked = request(file, **{**little, **options}).model_copy(update={"method": "auto"})
    return pb.certify(network(), clouds(N), unlabelled=unlabelled(), request=asked, state=state, progress=False)


@pytest.fixture(scope="module")
def certificate(file: Path) -> pb.Certificate:
    return run(file)


def test_every_method_of_the_list_pays_for_being_chosen_from_it(certificate: pb.Certificate) -> None:
    assert certificate.methods is not None
    assert [row.name for row in certificate.methods] == ["subspace", "direct", "surrogate", "picks"]
    paid = next(entry for entry in certificate.entries if entry.item == "methods")
    assert (paid.kind, paid.bits) == ("choice", 2)
    values = [row.value for row in certificate.methods]
    assert all(value is not None for value in values)
    assert certificate.bound.value == min(value for value in values if value is not None)


def test_the_best_stands_and_shows_what_came_of_all(file: Path, certificate: pb.Certificate) -> None:
    given = arguments(file) if certificate.comparison is not None else {"data": clouds(N), "model": network()}
    assert pb.verify(certificate, **given).require().level == "risk"
    shown = render(certificate)
    assert "method subspace" in shown
    assert "method surrogate" in shown
    assert "method-surrogate" in certificate.environment.seconds
    assert pb.Certificate.from_json(certificate.to_json()) == certificate


def test_it_is_said_which_methods_are_tried_and_why_not_the_others(
    file: Path, certificate: pb.Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    reasons = {
        "method prior does not apply: no --prior-share is given",
        "method surrogate_prior does not apply: no --prior-share is given",
        "method transfer does not apply: nobody says that the checkpoint has not seen the sample (--disjoint)",
        "method picks_transfer does not apply: nobody says that the checkpoint has not seen the sample (--disjoint)",
    }
    assert reasons <= set(certificate.environment.notes or ())
    assert all(reason in render(certificate) for reason in reasons)
    asked = pb.Request(checkpoint=str(file), method="auto")
    with caplog.at_level("INFO", "pacbound"):
        announced(Work("lenet", None, None, unlabelled(), asked, None, None, None, False))
    assert caplog.messages[0] == "methods that will be tried: subspace, direct, surrogate, picks"
    assert reasons == set(caplog.messages[1:])


def test_the_list_cannot_be_shortened_or_dropped_afterwards(certificate: pb.Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "whole.json")  # with the file of a picked network, if this is one
    dropped = forge(certificate, lambda d: d.pop("methods"), tmp_path / "dropped.json")
    assert caught(dropped) == ("message", "ledger")
    longer = forge(certificate, lambda d: d["methods"].extend([d["methods"][0]] * 3), tmp_path / "longer.json")
    assert caught(longer) == ("message", "ledger")


def names_for(file: Path | None, inputs: object, **options: Any) -> list[str]:
    asked = pb.Request(checkpoint=None if file is None else str(file), **options)
    work = Work("lenet", None, None, inputs, asked, None, None, None, False)
    return [option.name for option in listed(work)]


def test_the_list_follows_from_the_request_alone(file: Path) -> None:
    assert names_for(None, None) == ["subspace", "picks"]
    assert names_for(None, None, loss="error_probability") == ["subspace"]
    assert names_for(file, None) == ["subspace", "direct", "picks"]
    assert names_for(None, None, prior_share=0.5) == ["subspace", "prior", "picks"]
    assert names_for(file, None, disjoint=True) == ["subspace", "transfer", "direct", "picks", "picks_transfer"]
    assert names_for(file, unlabelled()) == ["subspace", "direct", "surrogate", "picks"]
    every = ["subspace", "transfer", "direct", "surrogate", "picks", "picks_transfer"]
    assert names_for(file, unlabelled(), disjoint=True) == every


def test_each_gets_an_equal_share_of_the_budget_and_its_own_request(file: Path) -> None:
    asked = pb.Request(checkpoint=str(file), disjoint=True, budget=10.5, method="auto", seed=5, d=16)
    work = Work("lenet", None, None, unlabelled(), asked, None, None, None, False)
    names = tuple(option.name for option in OPTIONS)
    parts = {option.name: part_of(option, work, names, None) for option in OPTIONS}
    assert {name: part.request.budget for name, part in parts.items()} == {
        **dict.fromkeys(names, 10.5 / 8),
        "direct": None,
    }
    assert {part.methods for part in parts.values()} == {names}
    assert (parts["subspace"].request.checkpoint, parts["subspace"].request.base) == (None, "seeded")
    assert parts["subspace"].unlabelled is None
    assert parts["transfer"].request.disjoint
    assert not parts["surrogate"].request.disjoint
    assert [parts[name].request.disjoint for name in ("picks", "picks_transfer")] == [False, True]
    assert (parts["picks"].request.method, parts["picks"].request.d, parts["subspace"].request.d) == ("picks", None, 16)
    assert all(part.request.seed == 5 for part in parts.values())


def test_one_method_that_is_refused_leaves_the_others_and_still_costs(file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    made = run(broken)
    assert made.methods is not None
    refused = [row.name for row in made.methods if row.value is None]
    assert ([row.name for row in made.methods], refused) == (
        ["subspace", "direct", "surrogate", "picks"],
        ["direct", "surrogate"],
    )
    assert any(entry.item == "methods" for entry in made.entries)
    assert "refused" in render(made)


def test_where_every_method_is_refused_the_reasons_are_given(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(RequestError, match=r"every method was refused. subspace: .* direct: .* surrogate: .* picks: "):
        run(broken, d=16, budget=1.0, pick_first=5)  # a budget and epochs; no size of the menu


@pytest.fixture(scope="module")
def resumed(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pb.Certificate]:
    """The state and the certificate of a run that was interrupted before the first surrogate and went on."""
    state = tmp_path_factory.mktemp("resumed") / "c.json.state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacbound.methods.auto.OPTIONS", tuple(o._replace(run=_interrupt(o)) for o in OPTIONS))
        with pytest.raises(KeyboardInterrupt):
            run(file, state, prior_share=0.5)
        assert (state.parent / "c.json.state.methods" / "subspace.json").exists()
        patch.setattr("pacbound.methods.auto.OPTIONS", tuple(o._replace(run=_from_surrogate_on(o)) for o in OPTIONS))
        return state, run(file, state, prior_share=0.5)


def test_what_was_finished_is_not_run_again(file: Path, resumed: tuple[Path, pb.Certificate]) -> None:
    state, certificate = resumed
    assert certificate.methods is not None
    assert len(certificate.methods) == 6
    again = run(file, state, prior_share=0.5)  # kept until somebody has saved the certificate and removes it
    assert again.core_digest == certificate.core_digest


def test_files_of_a_method_that_an_interrupted_run_finished_are_saved_with_its_certificate(
    resumed: tuple[Path, pb.Certificate], tmp_path: Path
) -> None:
    _, certificate = resumed
    assert certificate.hypothesis.base.kind == "split"  # the best by far: theta0 has learned the task
    certificate.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=clouds(N), model=network()).stands


_RUN = {option.name: option.run for option in OPTIONS}


def _interrupt(option: Any, at: str = "surrogate") -> Any:
    def run(work: Work) -> pb.Certificate:
        if option.name == at:
            raise KeyboardInterrupt
        return _RUN[option.name](work)

    return run


def _from_surrogate_on(option: Any) -> Any:
    def run(work: Work) -> pb.Certificate:
        assert option.name in ("surrogate", "surrogate_prior", "picks"), "a finished method ran again"
        return _RUN[option.name](work)

    return run


def test_what_was_finished_for_another_sample_or_network_file_is_not_taken_over(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, state = tmp_path / "original.safetensors", tmp_path / "c.json.state"
    copied.write_bytes(file.read_bytes())
    interrupted = tuple(option._replace(run=_interrupt(option, "direct")) for option in OPTIONS)
    monkeypatch.setattr("pacbound.methods.auto.OPTIONS", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(copied, state)
    with pytest.raises(StateError, match="belongs to another request"):
        pb.certify(
            network(), clouds(N, 1), unlabelled=unlabelled(), state=state, progress=False,
            request=request(copied).model_copy(update={"method": "auto"}),
        )  # fmt: skip
    copied.write_bytes(b"another file of the same name")
    with pytest.raises(StateError, match="belongs to another request"):
        run(copied, state)


def test_a_split_is_for_the_methods_that_train_theta0_on_it(file: Path) -> None:
    asked = pb.Request(checkpoint=str(file), disjoint=True, prior_share=0.5, method="auto")
    work = Work("lenet", None, None, unlabelled(), asked, None, None, None, False)
    shares = {option.name: part_of(option, work, ("a", "b"), None).request.prior_share for option in OPTIONS}
    assert shares == {name: 0.5 if name in ("prior", "surrogate_prior") else None for name in shares}
