"""`pacbound certify` from outside: streams, exit codes, interruption and resumption."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pacbound_cli.main import app
from typer.testing import CliRunner

import pacbound as pb
from pacbound.methods import table
from pacbound.training.state import Checkpoint
from tests.several import Begun, forked, pacbound
from tests.tiny import clouds, network, save_clouds

STREAMS = ["err", "out"]  # of a process of its own
ANSI = re.compile(r"\x1b\[[0-9;]*m")
N = 120
QUICK = ["--encoder", "plain", "--d", "8", "--epochs", "3", "--batch", "60", "--rate", "0.3", "--beta", "1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with clouds.npz in it."""
    save_clouds(tmp_path, N)
    return tmp_path


def start(folder: Path, *arguments: str) -> Begun:
    return forked(pacbound, *arguments, folder=folder, environment={"COLUMNS": "120"})


def in_process(folder: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """As main() does, without the seconds that importing torch takes."""
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["certify", "--data", "clouds.npz", *arguments])
    refusal = "" if not isinstance(done.exception, pb.PacboundError) else f"pacbound: {done.exception}"
    code = 2 if refusal else done.exit_code
    assert done.exception is None or refusal or isinstance(done.exception, SystemExit), done.exception
    return code, done.stdout, ANSI.sub("", done.stderr) + refusal


def test_a_certificate_is_written_told_to_people_and_verified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = in_process(folder, *QUICK, monkeypatch=monkeypatch)
    assert code == 0, err
    certificate = pb.Certificate.load(folder / "clouds.json")
    assert certificate.statement in out
    for entry in certificate.ledger.entries:
        assert re.search(rf"{re.escape(entry.item)} +{entry.bits}\b", out)
    assert f"{certificate.risk.errors} of {N}" in out
    assert "majority class" in out
    assert "What it does not say" in out
    assert "written to clouds.json" in err
    assert "pacbound verify clouds.json --data clouds.npz" in err
    assert sorted(os.listdir(folder)) == ["clouds.json", "clouds.npz"]  # no state is left behind
    done = CliRunner().invoke(app, ["verify", "clouds.json", "--data", "clouds.npz"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "stands, at level risk" in done.stdout


def test_json_on_standard_output_is_the_certificate_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = in_process(folder, *QUICK, "--json", "--output", "c.json", monkeypatch=monkeypatch)
    assert code == 0
    assert out == (folder / "c.json").read_text()
    assert list(json.loads(out)) == [
        "schema_version", "statement", "bound", "risk", "ledger", "message", "data", "hypothesis", "declarations",
        "measures", "parts", "also", "environment", "digest",
    ]  # fmt: skip
    assert json.loads(out)["statement"] in err


def test_a_vacuous_result_exits_0_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = clouds(90)
    y = np.random.default_rng(1).integers(0, 3, 90)
    np.savez(folder / "random.npz", x=x.numpy(), y=y)
    code, out, _ = in_process(folder, "--data", "random.npz", *QUICK, "-o", "r.json", monkeypatch=monkeypatch)
    assert code == 0
    assert "no better than guessing" in out


def test_held_out_examples_are_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds(60, 1)
    np.savez(folder / "held.npz", x=x.numpy(), y=y.numpy())
    code, out, _ = in_process(folder, *QUICK, "--test", "held.npz", monkeypatch=monkeypatch)
    assert code == 0
    assert re.search(r"test error +\d+ of 60 .*bound from the test set", out)


def test_a_file_beside_the_certificate_is_named_where_it_is_written_and_where_it_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacbound.training.start.EPOCHS", 1)
    code, _, err = in_process(folder, *QUICK, "--prior-share", "0.5", monkeypatch=monkeypatch)
    (beside,) = folder.glob("*.safetensors")
    assert (code, f"written to clouds.json, which needs {beside.name} beside it\n" in err) == (0, True)
    beside.unlink()
    done = CliRunner().invoke(app, ["verify", "clouds.json", "--data", "clouds.npz"])
    assert done.exit_code == 1
    assert f"sidecar '{beside.name}' is missing. Put it beside the certificate" in " ".join(done.stdout.split())


def test_what_another_run_finished_meanwhile_is_not_overwritten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = table.certify

    def overtaken(**options: object) -> pb.Certificate:
        made = asked(**options)
        (folder / "clouds.json").write_text("of another run")
        return made

    monkeypatch.setattr(table, "certify", overtaken)
    code, _, err = in_process(folder, *QUICK, monkeypatch=monkeypatch)
    assert (code, (folder / "clouds.json").read_text()) == (0, "of another run")
    (mine,) = folder.glob("clouds-*.json")
    assert mine.stem == f"clouds-{pb.Certificate.load(mine).digest[:8]}"
    assert "clouds.json was written by another run meanwhile, and is left as it is." in err
    assert f"written to {mine.name}\ncheck it with: pacbound verify {mine.name}" in err
    assert in_process(folder, *QUICK, "--force", monkeypatch=monkeypatch)[0] == 0
    assert pb.Certificate.load(folder / "clouds.json").data.n == N


def test_a_dry_run_prints_the_plan_and_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [*QUICK, "--epochs", "20", "--dry-run"]
    code, out, err = in_process(folder, *asked, "--output", "no/such/c.json", monkeypatch=monkeypatch)
    text = out + err
    assert code == 0
    parts = ("d = 8 coefficients", f"n = {N}", "20 epochs in batches of 60", "MiB", "symbols", "sum", "nothing was")
    for part in parts:
        assert part in text
    _, out, _ = in_process(folder, *asked, "--json", monkeypatch=monkeypatch)
    (plan,) = json.loads(out).values()
    assert (plan["n"], plan["d"], plan["epochs"], plan["batch"]) == (N, 8, 20, 60)
    assert os.listdir(folder) == ["clouds.npz"]


def test_preset_then_file_then_command_line_the_later_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "run.toml").write_text('delta = 0.02\nd = 12\nepochs = 3\nbatch = 60\ncode = ["adaptive", "static"]\n')
    code, out, _ = in_process(
        folder, "--preset", "lotfi2022", "--config", "run.toml", "--delta", "0.01", "--json", monkeypatch=monkeypatch
    )
    document = json.loads(out)
    assert code == 0
    assert document["bound"]["theorem"] == "catoni_grid"  # of the preset
    assert document["bound"]["delta"] == 0.01  # of the command line
    _, out, err = in_process(
        folder, "--preset", "lotfi2022", "--config", "run.toml", "--d", "9", "--dry-run", monkeypatch=monkeypatch
    )
    assert "d = 9 coefficients" in out + err
    _, out, err = in_process(
        folder, "--preset", "lotfi2022", "--config", "run.toml", "--dry-run", monkeypatch=monkeypatch
    )
    assert "d = 12 coefficients" in out + err  # of the file


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--epoch", "3"], "--epochs"),
        (["--d", "many"], "Invalid value for '--d'"),
        (["--delta", "2"], "option 'delta'"),
        (["--theorem", "best"], "option 'theorem'"),
        (["--code", "gaussian,huffman"], "option 'code'"),
        (["--projector", "fastfod"], "Did you mean 'fastfood'?"),
        (["--loss", "hinge"], "zero_one, error_probability or top_K"),
        (["--model", "lenett"], "Did you mean 'lenet'?"),
        (["--preset", "lotfi"], "Did you mean 'lotfi2022'?"),
        (["--config", "none.toml"], "'none.toml' is not a readable TOML file"),
        (["--data", "minst"], "Did you mean 'mnist'?"),
        (["--data", "none.npz"], "none.npz is a file, found none"),
        (["--test", "none.npz"], "none.npz is a file, found none"),
        (["--output", "no/such/c.json"], "the folder of --output exists, got 'no/such'"),
        (["--output", "."], "--output names a file, got the folder '.'"),
        (["--budget", "1", "--epochs", "3"], "not both"),
        (["--step", "5"], "the posterior encoder has no use for step, got 5.0"),
        (["--encoder", "plain", "--step", "5"], "a step lies between"),
    ],
)
def test_a_wrong_option_exits_2_and_names_what_was_meant(
    folder: Path, arguments: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = in_process(folder, *arguments, monkeypatch=monkeypatch)
    assert (code, out) == (2, "")
    assert complaint in " ".join(re.sub(r"[│╭╮╰╯─]", " ", err).split())
    assert os.listdir(folder) == ["clouds.npz"]


@pytest.mark.one_worker
def test_a_refusal_in_a_terminal_is_one_message_without_a_traceback(folder: Path) -> None:
    ended = start(folder, "certify", "--data", "clouds.npz", "--projector", "fastfod").end()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("pacbound: projector: a kind is one of")
    assert "Traceback" not in ended.err


CODE, TRAINING = (f"{panel} (free: only the message counts)" for panel in ("Code", "Training"))


def test_help_shows_the_main_options_first_and_an_example() -> None:
    done = CliRunner().invoke(app, ["certify", "--help"], env={"COLUMNS": "120", "TERM": "dumb"})
    text = ANSI.sub("", done.stdout)
    assert done.exit_code == 0
    assert "pacbound certify --data mnist --output mnist.json" in text
    panels = re.findall(r"─ ([A-Z][a-z]+[^─╮]*?) ─", text)
    assert panels[:2] == ["Options", "Main options"]  # the first holds --help alone
    assert {"Main options", "Statement", "Network", "Subspace", CODE, TRAINING, "Run"} <= set(panels)
    first = text[text.index("Main options") : text.index("─ ", text.index("Main options") + 20)]
    assert set(re.findall(r"--([a-z-]+)", first)) == {"data", "model", "method", "task", "budget", "output", "resume"}
    for name in pb.Request.model_fields:
        assert f"--{name.replace('_', '-')}" in text


def interrupted(*arguments: str) -> None:
    """`pacbound ARGUMENTS`, which gets a Ctrl-C as soon as it has kept a state."""
    save = Checkpoint.save

    def save_and_stop(*rest: Any, **options: Any) -> None:
        save(*rest, **options)
        signal.raise_signal(signal.SIGINT)

    Checkpoint.save = save_and_stop  # type: ignore[method-assign]
    pacbound(*arguments)


@pytest.mark.one_worker
def test_an_unfinished_run_is_refused_without_resume_and_goes_on_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C exits 130 and keeps the state; --resume ends in the core digest of an uninterrupted run."""
    options = [*QUICK, "--epochs", "8"]  # the first state is of the middle of a phase
    ended = forked(interrupted, "certify", "--data", "clouds.npz", *options, folder=folder).end()
    assert (ended.code, ended.out) == (130, "")
    assert "pacbound: interrupted; --resume goes on from clouds.json.state." in ended.err
    assert "Traceback" not in ended.err
    assert sorted(os.listdir(folder)) == ["clouds.json.state", "clouds.npz", *STREAMS]
    code, _, err = in_process(folder, *options, monkeypatch=monkeypatch)
    assert code == 2
    assert "clouds.json.state holds an unfinished run. Add --resume" in err
    code, _, err = in_process(folder, *options, "--rate", "0.01", "--resume", monkeypatch=monkeypatch)
    assert code == 2
    assert "belongs to another request" in err
    assert in_process(folder, *options, "--resume", monkeypatch=monkeypatch)[0] == 0
    assert sorted(os.listdir(folder)) == ["clouds.json", "clouds.npz", *STREAMS]
    assert in_process(folder, *options, "--output", "whole.json", monkeypatch=monkeypatch)[0] == 0
    resumed, whole = (pb.Certificate.load(folder / name) for name in ("clouds.json", "whole.json"))
    assert resumed.core_digest == whole.core_digest
    assert resumed.hypothesis.projector is not None


def test_a_damaged_state_is_refused_with_a_remedy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "clouds.json.state").write_bytes(b"half a state")
    code, _, err = in_process(folder, *QUICK, "--resume", monkeypatch=monkeypatch)
    assert code == 2
    assert "clouds.json.state is not a pacbound state" in err
    assert not (folder / "clouds.json").exists()


def test_help_shows_defaults_that_are_words_too() -> None:
    output = CliRunner().invoke(app, ["certify", "--help"], env={"COLUMNS": "200"}).output
    shown = " ".join(ANSI.sub("", output).split())
    for default in ("[digits]", "[auto]", "[subspace]", "[0.05]", "[zero_one]"):
        assert default in shown


@pytest.mark.one_worker
def test_the_suggested_check_is_quoted_and_names_the_data_folder(folder: Path) -> None:
    (folder / "clouds.npz").rename(folder / "my clouds.npz")
    result = start(folder, "certify", "--data", "my clouds.npz", "--data-dir", "data", "-o", "c d.json", *QUICK)
    assert "pacbound verify 'c d.json' --data 'my clouds.npz' --data-dir data" in result.end().err


BROKEN = """
def data(): return {}["x"]
def loss(logits, y): return 1.0
def far(logits, y): return 2.0 + 0.0 * logits[:, 0]
"""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--data", "mine:data"], "mine:data: it runs without an error, got KeyError: 'x' (mine.py, line 2)"),
        (["--data", "syntax:data"], "syntax:data: it runs without an error, got SyntaxError"),
        (["--data", "clouds.npz", "--loss", "mine:loss"], "custom is a function of (logits, y), got AttributeError"),
        (["--data", "clouds.npz", "--loss", "mine:far"], "custom gives one number in [0, 1] an example"),
        (["--base", "values"], "base values is theta0 as a module in memory holds it"),
        (["--preprocess", "foo"], "preprocess: one of none, ink, photo, digits, imagenet, clip"),
        (["--dry-run", "--earlier-looks", "2"], "--earlier-looks goes with --method surrogate"),
        (["--output", "clouds.npz/a.json"], "the folder of --output exists"),
    ],
)
def test_what_is_broken_is_refused_before_training_and_leaves_nothing(
    folder: Path, arguments: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # of another folder
    (folder / "mine.py").write_text(BROKEN)
    (folder / "syntax.py").write_text("def data(:")
    before = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    code, _, error = in_process(folder, *arguments, *QUICK, monkeypatch=monkeypatch)  # fails at any other exception
    assert complaint in " ".join(error.split())
    assert code != 0
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before


def test_a_request_alone_says_what_is_certified(folder: Path) -> None:
    asked = pb.Request(data=str(folder / "clouds.npz"), d=4, epochs=3, encoder="plain", batch=60)
    assert pb.certify(request=asked, progress=False).data.n == N


def test_what_is_read_of_a_checkpoint_and_how_it_does_is_said_before_the_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    (folder / "smallnet.py").write_text("from tests.tiny import network as build\n")
    torch.save({"model": network(1).state_dict(), "model_ema": network(2).state_dict()}, folder / "two.pt")
    options = [*QUICK, "--model", "smallnet:build", "--checkpoint", "two.pt", "--disjoint", "-o", "c.json"]
    code, _, err = in_process(folder, *options, "--json", monkeypatch=monkeypatch)
    assert code == 0, err
    said = ["read what lies under model, not model_ema", "as it is, the checkpoint errs on", "than guessing"]
    places = [err.index(line) for line in said]
    assert places == sorted(places)
    assert places[-1] < err.index("With probability at least")
    code, _, err = in_process(folder, *options, "--key", "model_ema", "--force", monkeypatch=monkeypatch)
    assert "checkpoint two.pt: read under the key model_ema" in err
    hint = err[err.index("pacbound verify") :].split()
    assert hint[-2:] == ["--key", "model_ema"]
    assert CliRunner().invoke(app, hint[1:]).exit_code == 0
    assert CliRunner().invoke(app, hint[1:-2]).exit_code == 1
    measured = ["measure", "two.pt", "--model", "smallnet:build", "--data", "clouds.npz", "--measures", "stable_rank"]
    one, other = (CliRunner().invoke(app, [*measured, *key]).stdout for key in ([], ["--key", "model_ema"]))
    assert one != other
    code, _, err = in_process(folder, *QUICK, "--key", "model", monkeypatch=monkeypatch)
    assert (code, "--key is about a checkpoint" in err) == (2, True)
