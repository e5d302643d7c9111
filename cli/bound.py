"""`pacbound bound`: every theorem that applies to (errors, n, bits, delta) or to picks, in one table; `bound lm`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pacbound.errors import RequestError

from .bound_lm import lm
from .files import sentence_lines, theorem_lines

if TYPE_CHECKING:
    from pacbound.bounds.claims import Bound

Plan = dict[str, float | int | None]

app = typer.Typer(add_completion=False, invoke_without_command=True, subcommand_metavar="[lm ...]")
app.command("lm")(lm)


@app.callback()
def bound(
    context: typer.Context,
    errors: Annotated[
        int | None, typer.Option(help="Errors counted on the n examples (0-1 loss); with --picks, outside the picks.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="Number of examples.")] = None,
    bits: Annotated[
        int | None,
        typer.Option(help="Sum of the ledger: length of the message and of the choices, in bits. With --picks [0]."),
    ] = None,
    delta: Annotated[float, typer.Option(help="Probability that the statement fails.")] = 0.05,
    target: Annotated[
        float | None, typer.Option(help="A risk to reach: prints the affordable bits and the examples needed.")
    ] = None,
    picks: Annotated[
        int | None,
        typer.Option(
            help="Sample compression: the network is what a fixed learner makes of this many of the n examples. "
            "--bits then pays the choices only: 6 where their number came from a list of 64 sizes."
        ),
    ] = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="With --picks: the selection run on the picks alone gives another order.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Print all bounds on the risk that follow from errors, n, bits and delta; the tightest is marked.

    \b
    pacbound bound --errors 1200 --n 60000 --bits 5000 --target 0.1

    \b
      1200 errors of 60000 (rate 0.02), 5000 bits, delta 0.05
      * occam_binomial        0.107194  Langford 2005, Theorem 4.1
        occam_kl              0.107272  Langford 2005, ...
        ...
      To reach 0.1: at most 4439 bits ...; at least 67587 examples ...

    \b
    pacbound bound --picks 833 --errors 553 --n 60000 --bits 6
    pacbound bound lm --losses FILE.npz --bits 33184
    """
    if context.invoked_subcommand is not None:
        _refuse_before_lm(context)
        return
    errors, n = _required("--errors", errors), _required("--n", n)
    if picks is not None:
        if target is not None:
            raise RequestError("bound: --target plans a coded network, got --picks as well. Leave one of the two out.")
        _print_picks(picks, errors, n, bits or 0, delta, ordered, as_json)
        return
    if ordered:
        raise RequestError("bound: --ordered is about the order of picks, got no --picks. Say how many there are.")
    bits = _required("--bits", bits)
    from pacbound.bounds.table import all_bounds

    bounds = all_bounds(errors, n, bits, delta)
    plan = None if target is None else _plan(errors, n, bits, delta, target)
    if as_json:
        typer.echo(_as_json(bounds, errors, n, bits, delta, plan))
    else:
        typer.echo(_as_table(bounds, errors, n, bits, delta))
        if plan is not None:
            typer.echo(_plan_in_words(plan))


def _refuse_before_lm(context: typer.Context) -> None:
    before = [name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"]
    if before:
        raise RequestError(
            f"bound: lm takes its options after the word lm, got {', '.join(before)} before it. Move or leave out."
        )


def _required(name: str, value: int | None) -> int:
    if value is None:
        raise RequestError(
            f"bound: {name} is missing. A bound needs --errors, --n and --bits (0 by default for --picks)."
        )
    return value


def _print_picks(picked: int, errors: int, n: int, bits: int, delta: float, ordered: bool, as_json: bool) -> None:
    from pacbound.bounds.preference import picks, picks_classical
    from pacbound.bounds.table import rounded_up

    made = [picks_classical(picked, errors, n, bits, delta, ordered)]
    if not ordered:
        made.insert(0, picks(picked, errors, n, bits, delta))
    total = picked + errors
    if as_json:
        rows = [{"theorem": one.theorem, "value": one.value, "reference": one.reference} for one in made]
        report = {"n": n, "picks": picked, "errors": errors, "total": total, "bits": bits, "delta": delta}
        typer.echo(json.dumps({**report, "bounds": rows}, indent=2))
        return
    lines = [f"{picked} picks and {errors} errors outside them, in all {total} of {n}, {bits} bits, delta {delta!r}"]
    for one in made:
        lines += theorem_lines(one is made[0], one.theorem, rounded_up(one.value), one.reference)
    lines += sentence_lines(f"Each holds by itself {_confidence(delta)}; * is the headline.")
    for place, assumption in enumerate(made[0].assumes, 1):
        end = "." if place == len(made[0].assumes) else ";"
        lines += sentence_lines(assumption + end, "If " if place == 1 else "   ", "   ")
    typer.echo("\n".join(lines))


def _plan(errors: int, n: int, bits: int, delta: float, target: float) -> Plan:
    from fractions import Fraction

    from pacbound.bounds.planning import affordable_bits, examples_needed

    return {
        "risk": target,
        "affordable_bits": affordable_bits(errors, n, delta, target),
        "examples_needed": examples_needed(Fraction(errors, n), bits, delta, target),
    }


def _as_json(bounds: "tuple[Bound, ...]", errors: int, n: int, bits: int, delta: float, plan: Plan | None) -> str:
    rows = [{"theorem": one.theorem, "value": one.value, "reference": one.reference} for one in bounds]
    report: dict[str, object] = {"n": n, "errors": errors, "bits": bits, "delta": delta, "bounds": rows}
    if plan is not None:
        report["target"] = plan
    return json.dumps(report, indent=2)


def _as_table(bounds: "tuple[Bound, ...]", errors: int, n: int, bits: int, delta: float) -> str:
    from pacbound.bounds.table import rounded_up

    tightest = min(one.value for one in bounds)
    lines = [f"{errors} errors of {n} (rate {errors / n:.6g}), {bits} bits, delta {delta!r}"]
    for one in bounds:
        lines += theorem_lines(one.value == tightest, one.theorem, rounded_up(one.value), one.reference)
    lines += sentence_lines(f"Each holds by itself {_confidence(delta)}; * is the tightest.")
    if tightest >= 1.0:
        lines.append("All are vacuous: 1 says nothing. Fewer bits or more examples are needed.")
    return "\n".join(lines)


def _plan_in_words(plan: Plan) -> str:
    bits, examples = plan["affordable_bits"], plan["examples_needed"]
    at_most = "no message is short enough at this error count" if bits is None else f"at most {bits} bits at this n"
    at_least = (
        "no number of examples helps at this error rate and bits"
        if examples is None
        else f"at least {examples} examples at this error rate and these bits"
    )
    return "\n".join(sentence_lines(f"To reach {plan['risk']:g} with occam_binomial: {at_most}; {at_least}."))


def _confidence(delta: float) -> str:
    return f"with probability at least 1 - {delta!r} over the examples"
