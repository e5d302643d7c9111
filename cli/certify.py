"""`pacbound certify`: train, code, certify; words on standard output, or JSON there and words on standard error."""

import inspect
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .files import columns, refuse_to_overwrite, sentence_lines
from .options import given, with_parameters

if TYPE_CHECKING:
    from pacbound.certificate.documents import AnyCertificate
    from pacbound.methods.language import LanguageForecast
    from pacbound.pipeline.forecast import Forecast
    from pacbound.request.request import Request

MAIN = "Main options"
RUN = "Run"
HOUR = 3600  # seconds, from which hours are said too


def _certify(**options: object) -> None:
    """Train a network in a random subspace, code it, and certify what the code decodes to.

    \b
    pacbound certify
    pacbound certify --data mnist --output mnist.json
    pacbound certify --method surrogate --data mnist --model lenet-mnist \\
        --checkpoint lenet.pt --unlabelled mnist:test:1/2

    \b
      With probability at least 95 % over the draw of n = 1,437 training
      examples, the error of the decoded network on new data from the same
      source is at most ... %.
        bound           ... % (occam_binomial, confidence 95 %)
        training error  ... of 1,437
      written to digits.json
    """
    from pacbound.distributed import first, leads
    from pacbound.methods.language import certify_language, forecast_language
    from pacbound.methods.plans import plans
    from pacbound.methods.quantization import METHOD, certify_quantization
    from pacbound.methods.table import certify
    from pacbound.methods.work import methods_folder
    from pacbound.reports.show import render
    from pacbound.request.presets import differences

    request = _request(options)
    output = Path(str(options["output"])) if options["output"] else Path(f"{request.name or _stem(request.data)}.json")
    if options["dry_run"] and request.task == "lm":
        planned = forecast_language(request, _path(options["data_dir"]))
        if options["as_json"]:
            typer.echo(planned.model_dump_json(indent=1))
            return
        for line in _language_in_words(planned):
            typer.echo(line)
        typer.echo("nothing was trained or written (--dry-run)")
        return
    if options["dry_run"]:
        found = plans(request, _path(options["data_dir"]))
        if options["as_json"]:
            plain = {
                name: {"refused": plan} if isinstance(plan, str) else plan.model_dump(mode="json")
                for name, plan in found.items()
            }
            typer.echo(json.dumps(plain, indent=1))
            return
        for name, plan in found.items():
            title = f"method   {name}\n" if len(found) > 1 else ""
            typer.echo(title + (f"refused  {plan}" if isinstance(plan, str) else _in_words(plan)))
        typer.echo("nothing was trained or written (--dry-run)")
        return
    state = first(lambda: _state_beside(output, options))
    try:
        certificate: AnyCertificate
        if request.method == METHOD:
            certificate = certify_quantization(request, data_dir=_path(options["data_dir"]))
        elif request.task == "lm":
            certificate = certify_language(request, data_dir=_path(options["data_dir"]), state=state)
        else:
            certificate = certify(request=request, data_dir=_path(options["data_dir"]), state=state)
    except KeyboardInterrupt:
        begun = state.exists() or methods_folder(state).exists()
        kept = f"; --resume goes on from {state}" if begun else ""
        typer.echo(f"\npacbound: interrupted{kept}.", err=True)
        raise typer.Exit(130) from None
    written = first(lambda: _unwritten(output, bool(options["force"]), certificate.digest))
    beside = first(lambda: certificate.save(written))
    if leads():
        state.unlink(missing_ok=True)
        shutil.rmtree(methods_folder(state), ignore_errors=True)
    if as_json := bool(options["as_json"]):
        typer.echo(certificate.to_json().decode(), nl=False)
    typer.echo(render(certificate, width=columns(sys.stderr if as_json else None)), err=as_json)
    if changed := differences(request):
        typer.echo("\nDiffers from the defaults\n" + "\n".join(f"  - {line}" for line in changed), err=as_json)
    if written != output:
        typer.echo(f"\npacbound: {output} was written by another run meanwhile, and is left as it is.", err=True)
    check = f"pacbound verify {shlex.quote(str(written))}{_verify_hint(request, options['data_dir'])}"
    kept = f", which needs {' and '.join(beside)} beside it" if beside else ""
    typer.echo(f"\nwritten to {written}{kept}\ncheck it with: {check}", err=True)


def _state_beside(output: Path, options: dict[str, object]) -> Path:
    """Return where the run is kept; refuse before any work what could not be written, and a run nobody goes on with."""
    from pacbound.distributed import starts_again
    from pacbound.errors import RequestError
    from pacbound.methods.work import methods_folder

    if output.is_dir():
        raise RequestError(
            f"certify: --output names a file, got the folder {str(output)!r}. Add a name such as mine.json."
        )
    if not output.parent.is_dir():
        raise RequestError(f"certify: the folder of --output exists, got {str(output.parent)!r}. Create it first.")
    refuse_to_overwrite(output, bool(options["force"]), "certify")
    state = output.with_name(f"{output.name}.state")
    begun = state if state.exists() else methods_folder(state)  # theta0 is trained before the state is begun
    if begun.exists() and not (options["resume"] or starts_again()):
        raise RequestError(
            f"certify: {begun} holds an unfinished run. Add --resume to go on with it, or delete it to start afresh."
        )
    return state


def _unwritten(output: Path, force: bool, digest: str) -> Path:
    """Where a certificate goes: beside one that another run has finished there meanwhile, never over it."""
    taken = output.exists() and not force
    return output.with_name(f"{output.stem}-{digest[:8]}{output.suffix}") if taken else output


def _request(options: dict[str, object]) -> "Request":
    """Preset, then TOML file, then command line; the later wins."""
    from pacbound.request.presets import preset
    from pacbound.request.request import make_request, read_toml

    request = preset(str(options["preset"]))
    if options["config"]:
        request = read_toml(Path(str(options["config"])), request)
    return make_request(given(options), "certify", request)


def _stem(data: str) -> str:
    """Name of the certificate where none is given: the data set's, the file's, or the callable's."""
    from pacbound.data.user import FILE_SUFFIXES

    if data.endswith(FILE_SUFFIXES) or Path(data).is_dir():
        return Path(data).stem
    return data.replace(":", "-").replace("/", "-of-")


def _path(value: object) -> Path | None:
    return None if value is None else Path(str(value))


def _verify_hint(request: "Request", data_dir: object) -> str:
    shared = request.prior_share is not None
    given = {
        "--data": None if request.data == "digits" else request.data,
        "--data-dir": data_dir,
        "--model": request.model if ":" in request.model else None,
        "--reference": request.reference,
        "--checkpoint": None if request.method == "direct" else request.checkpoint,
        "--rename": None if request.method == "direct" else ",".join(request.rename) or None,
        "--key": None if request.method == "direct" else request.key,
        "--loss": request.loss if ":" in request.loss else None,
        "--unlabelled": request.unlabelled,
        "--test": request.test,
        "--tokenizer": request.tokenizer,
        "--surrogate": request.surrogate if ":" in request.surrogate else None,
        "--surrogate-checkpoint": request.surrogate_checkpoint if request.train != "all" or not shared else None,
        "--standardise": None if request.standardise == "share" else request.standardise,
        "--text-column": request.text_column,
        "--label-column": request.label_column,
        "--encoding": None if request.encoding == "utf-8" else request.encoding,
        "--layout": None if request.layout == "auto" else request.layout,
    }
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)


def _in_words(plan: "Forecast") -> str:
    coded = (
        f"d = {plan.d:,} coefficients"
        if plan.d
        else f"made from picks, at most {plan.picks:,}"
        if plan.picks
        else "which are coded themselves"
    )
    stages = ", ".join(f"{stage} {seconds:,.0f} s" for stage, seconds in plan.stages.items() if seconds >= 1)
    facts = {
        "data": f"{plan.data}, n = {plan.n:,}",
        "network": f"{plan.model}, D = {plan.D:,} parameters, {coded}",
        "training": f"{plan.epochs} epochs in batches of {plan.batch}",
        "time": f"about {_duration(plan.seconds)} on {_threads(plan.threads)} of this machine"
        + (f": {stages}" if stages else ""),
        "memory": f"about {plan.memory_bytes / 2**20:,.0f} MiB beside the program",
        "ledger": "expected, in bits",
    }
    lines = [line for name, fact in facts.items() for line in _told(name, fact)]
    for entry in plan.ledger:
        lines += sentence_lines(entry.why, f"  {entry.item:<18}{entry.bits:>8,}  ", " " * 30)
    return "\n".join([*lines, f"  {'sum':<18}{plan.bits:>8,}"])


def _told(what: str, sentence: str) -> list[str]:
    """A line of a plan, broken to the width of the terminal."""
    return sentence_lines(sentence, f"{what:<9}", " " * 9)


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _duration(seconds: float) -> str:
    return f"{seconds:,.0f} s" + (f" ({seconds / HOUR:,.1f} hours)" if seconds >= HOUR else "")


def _language_in_words(plan: "LanguageForecast") -> list[str]:
    text = _told("text", f"{plan.text}, {plan.symbols:,} symbols, {plan.losses:,} losses")
    if plan.seconds is None:
        looked_at = ", ".join(f"{count:,} of {k}" for k, count in enumerate(plan.contexts, 1)) or "none"
        return [
            *text,
            *_told(
                "network", f"{plan.model}, of the frequent contexts ({looked_at} symbols) those that save their bits"
            ),
            *_told("training", "none: it is fitted at once, in time that grows with the contexts"),
        ]
    coded = "all of which are coded" if plan.d is None else f"d = {plan.d:,} coefficients"
    return [
        *text,
        *_told("network", f"{plan.model}, D = {plan.D:,} parameters, {coded}"),
        *_told(
            "training",
            f"{plan.steps:,} steps, about {_duration(plan.seconds)} on {_threads(plan.threads)} of this machine, "
            "counting included",
        ),
    ]


def _own_parameters() -> list[inspect.Parameter]:
    """Options of the command itself, which no certificate depends on."""
    options = {
        "output": (str, typer.Option("--output", "-o", help="certificate file [DATA.json]", rich_help_panel=MAIN)),
        "resume": (bool, typer.Option("--resume", help="go on with an unfinished run", rich_help_panel=MAIN)),
        "force": (bool, typer.Option("--force", help="overwrite the file of --output", rich_help_panel=RUN)),
        "preset": (str, typer.Option("--preset", help="default or lotfi2022", rich_help_panel=RUN)),
        "config": (str, typer.Option("--config", help="options in a TOML file", rich_help_panel=RUN)),
        "data_dir": (str, typer.Option("--data-dir", help="folder of data sets [PACBOUND_DATA]", rich_help_panel=RUN)),
        "dry_run": (bool, typer.Option("--dry-run", help="print the plan and stop", rich_help_panel=RUN)),
        "as_json": (
            bool,
            typer.Option("--json", help="print the certificate, or the plan, as JSON", rich_help_panel=RUN),
        ),
    }
    flags = ("resume", "force", "dry_run", "as_json")
    defaults: dict[str, object] = {"preset": "default", **dict.fromkeys(flags, False)}
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name),
            annotation=Annotated[kind if name in defaults else kind | None, option],
        )
        for name, (kind, option) in options.items()
    ]


certify = with_parameters(_certify, _own_parameters())
