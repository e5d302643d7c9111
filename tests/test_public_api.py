"""The names that others build on."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import pacbound as pb
from tests.several import forked

NAMES = [
    "Bound", "Certificate", "DifferenceCertificate", "Entry", "Examples", "LanguageCertificate", "Ledger", "Measure",
    "PacboundError", "Request", "RiskEstimate", "Verification", "bound", "certify", "certify_language",
    "certify_quantization", "load", "measure", "preset", "verify",
]  # fmt: skip

VERBS = ("certify", "verify", "bound", "load", "measure", "preset")


def test_the_public_names_are_these_and_all_load() -> None:
    assert pb.__all__ == NAMES
    assert dir(pb) == NAMES
    assert all(callable(getattr(pb, name)) for name in NAMES)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'certifi'; it has .*certify"):
        pb.certifi  # noqa: B018


def fresh(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = fresh("import sys, pacbound; print(*sorted({m.split('.')[0] for m in sys.modules}))").split()
    assert "pacbound" in loaded
    assert not {"torch", "scipy", "numpy", "pydantic", "flint", "sklearn", "typer"} & set(loaded)


def test_bounding_and_reading_need_no_torch() -> None:
    program = (
        "import sys, pacbound as pb\n"
        "pb.bound(errors=1, n=10, bits=3, delta=.1); pb.Request(); pb.Ledger(); pb.preset('default')\n"
        "print(*sorted({'torch', 'scipy', 'sklearn'} & set(sys.modules)))"
    )
    assert fresh(program).split() == []


def functions_stay(first: str) -> bool:
    """Import the package anew in a process of its own, in which only other packages are there already."""
    for name in [name for name in sys.modules if name.split(".")[0] == "pacbound"]:
        del sys.modules[name]
    package = importlib.import_module("pacbound")
    before = [getattr(package, verb) for verb in VERBS] if first == "names" else []
    for name in ["pipeline", "verification", "request", "bounds.table", "data.registry", "measures", "methods.table"]:
        importlib.import_module(f"pacbound.{name}")
    before = before or [getattr(package, verb) for verb in VERBS]
    return all(callable(f) and getattr(package, verb) is f for verb, f in zip(VERBS, before, strict=True))


@pytest.mark.one_worker
@pytest.mark.parametrize("first", ["names", "modules"])
def test_verbs_stay_functions_whatever_is_imported_before_or_after(first: str, tmp_path: Path) -> None:
    ended = forked(functions_stay, first, folder=tmp_path).end()
    assert ended.returned is True, ended.err


def test_no_module_has_the_name_of_a_verb() -> None:
    for verb in VERBS:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(f"pacbound.{verb}")


def test_the_version_is_that_of_the_distribution() -> None:
    import importlib.metadata

    assert pb.__version__ == importlib.metadata.version("pacbound")
