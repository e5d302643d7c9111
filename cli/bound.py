"""`pacbound bound`: every theorem that applies to (errors, n, bits, delta), in one table."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pacbound.bounds.claims import Bound

Plan = dict[str, float | int | None]


def bound(
    errors: Annotated[int, typer.Option(help="Errors counted on the n examples (0-1 loss).")],
    n: Annotated[int, typer.Option("--n", help="Number of examples.")],
    bits: Annotated[int, typer.Option(help="Sum of the ledger: length of the message and of the choices, in bits.")],
    delta: Annotated[float, typer.Option(help="Probability that the statement fails.")] = 0.05,
    target: Annotated[
        float | None, typer.Option(help="A risk to reach: prints the affordable bits and the examples needed.")
    ] = None,
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
    """
    from pacbound.bounds.table import all_bounds

    bounds = all_bounds(errors, n, bits, delta)
    plan = None if target is None else _plan(errors, n, bits, delta, target)
    if as_json:
        typer.echo(_as_json(bounds, errors, n, bits, delta, plan))
    else:
        typer.echo(_as_table(bounds, errors, n, bits, delta))
        if plan is not None:
            typer.echo(_plan_in_words(plan))


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
    tightest = min(one.value for one in bounds)
    lines = [f"{errors} errors of {n} (rate {errors / n:.6g}), {bits} bits, delta {delta:g}"]
    for one in bounds:
        mark = "*" if one.value == tightest else " "
        lines.append(f"{mark} {one.theorem:<21} {_rounded_up(one.value)}  {one.reference}")
    lines.append(f"Each holds by itself with probability at least 1 - {delta:g} over the examples; * is the tightest.")
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
    return f"To reach {plan['risk']:g} with occam_binomial: {at_most}; {at_least}."


def _rounded_up(value: float) -> str:
    """Print six decimals, never below the value."""
    from decimal import ROUND_CEILING, Decimal

    return str(Decimal(value).quantize(Decimal("0.000001"), rounding=ROUND_CEILING))
