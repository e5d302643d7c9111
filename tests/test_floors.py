"""The house has one order of rooms: a module imports from its own room or from those before it; arithmetic and reading
come first and never import torch, and verification comes before training, the pipeline and the methods."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[1]

# The one order of the house, from the ground up: a room imports from itself and from those before it. A new room gets
# its place here. `errors`, `records` and `notebook` are the modules at the root that every room may import.
ORDER = (
    "errors", "records", "notebook",
    "specs", "bits", "bounds", "certificate", "request", "reports",  # arithmetic and reading
    "progress", "distributed", "stages",  # other modules at the root
    "threads",  # the last one there: it sets those of torch
    "subspace", "quantize", "data", "models", "networks", "picking", "verification",  # up to counting errors again
    "measures", "training", "pipeline", "methods", "sweeps", "studies", "integrations",
    "",  # pacbound/__init__.py names what is public
)  # fmt: skip
FLOORS = {room: floor for floor, room in enumerate(ORDER)}
TORCHLESS = ORDER[: ORDER.index("distributed")]
HEAVY = (
    "torch", "scipy", "sklearn", "tensorly", "bitsandbytes", "matplotlib", "pandas", "transformers", "timm", "optuna",
    "submitit", "lightning",
)  # fmt: skip
# drawings and frames load these when they are made; a test below watches that importing does not
LAZY = {"reports": ("matplotlib",), "notebook": ("pandas",)}
# reports read certificates and nothing else
READABLE = ("errors", "records", "notebook", "bits", "bounds", "certificate")
CLI_MAY_IMPORT = (
    "", "errors", "distributed", "bounds", "certificate", "request", "reports", "data", "verification", "measures",
    "pipeline", "methods", "sweeps", "studies",
)  # fmt: skip


class Import(NamedTuple):
    """One imported name: where, the module it comes from (absolute, dotted), and the name."""

    place: str
    module: str
    name: str


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement inside a node, at any depth; no expressions, which are most of a tree and import nothing."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield child
            yield from statements(child)


def imports(source: str, package: tuple[str, ...], file: str) -> Iterator[Import]:
    """Every import in a source, at any depth; `package` is where its relative imports start."""
    for node in statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(f"{file}:{node.lineno}", alias.name, "")
        if isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield Import(f"{file}:{node.lineno}", ".".join([*start, *(node.module or "").split(".")]), alias.name)


def part_of(imported: Import) -> str | None:
    """First part of the imported module's name inside pacbound; None where it lies outside."""
    head, *rest = imported.module.strip(".").split(".")
    if head != "pacbound":
        return None
    if rest:
        return rest[0]
    return imported.name if imported.name in FLOORS else ""


def broken_rules(source: str, package: tuple[str, ...], own: str, file: str) -> list[str]:
    """Say which line of a module of pacbound breaks which rule; `own` is the first part of its name."""
    complaints = []
    for imported in imports(source, package, file):
        part = part_of(imported)
        if part is None:
            heavy = imported.module.split(".")[0]
            if own in TORCHLESS and heavy in HEAVY and heavy not in LAZY.get(own, ()):
                complaints.append(f"{imported.place}: {own} is arithmetic and imports {imported.module}")
        elif part not in FLOORS:
            complaints.append(f"{imported.place}: {part} has no place in ORDER of tests/test_floors.py")
        elif FLOORS[part] > FLOORS[own]:
            complaints.append(
                f"{imported.place}: {own} (room {FLOORS[own]}) imports {part} (room {FLOORS[part]}) from above"
            )
        elif own == "reports" and part not in (*READABLE, own):
            complaints.append(f"{imported.place}: {own} reads certificates only and imports {part}")
    return complaints


def broken_cli_rules(source: str, file: str) -> list[str]:
    """Say which line of the command line imports what is not public."""
    complaints = []
    for imported in imports(source, ("pacbound_cli",), file):
        part = part_of(imported)
        if imported.module.split(".")[0] in HEAVY:
            complaints.append(f"{imported.place}: the command line parses and prints; it imports {imported.module}")
        if part is None:
            continue
        if part not in CLI_MAY_IMPORT:
            complaints.append(f"{imported.place}: the command line imports {part}, which is no verb or option")
        named = [*imported.module.split("."), imported.name]
        if any(name.startswith("_") and not name.endswith("__") for name in named):
            complaints.append(f"{imported.place}: the command line imports the private {imported.name}")
    return complaints


def modules(folder: str) -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


def own_part(file: Path) -> str:
    inside = file.relative_to(REPOSITORY / "pacbound").with_suffix("").parts
    return "" if inside == ("__init__",) else inside[0]


@pytest.mark.parametrize("file", modules("pacbound"), ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_a_module_imports_only_from_its_own_room_or_from_those_before_it(file: Path) -> None:
    own = own_part(file)
    assert own in FLOORS, f"{file.relative_to(REPOSITORY)} has no place in ORDER of tests/test_floors.py"
    package = file.relative_to(REPOSITORY).parent.parts
    assert broken_rules(file.read_text("utf-8"), package, own, str(file.relative_to(REPOSITORY))) == []


@pytest.mark.parametrize("file", modules("cli"), ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_the_command_line_imports_public_names_only(file: Path) -> None:
    assert broken_cli_rules(file.read_text("utf-8"), str(file.relative_to(REPOSITORY))) == []


@pytest.mark.parametrize(
    ("own", "package", "source", "complaint"),
    [
        ("bits", ("pacbound", "bits"), "\nimport torch.nn\n", "f.py:2: bits is arithmetic"),
        ("bounds", ("pacbound", "bounds"), "def f():\n    from scipy import stats\n", "f.py:2: bounds is arithmetic"),
        ("bits", ("pacbound", "bits"), "from ..certificate.schema import Certificate", "from above"),
        ("networks", ("pacbound", "networks"), "from ..pipeline.finish import finish", "from above"),
        ("verification", ("pacbound", "verification"), "from ..training import fit", "from above"),
        ("verification", ("pacbound", "verification"), "from ..methods.table import certify", "from above"),
        ("training", ("pacbound", "training"), "import pacbound.pipeline", "from above"),
        ("specs", ("pacbound", "specs"), "from ..networks import hypothesis", "from above"),
        ("data", ("pacbound", "data"), "from pacbound import certify", "from above"),
        ("reports", ("pacbound", "reports"), "from ..specs.specs import DrawSpec", "reads certificates only"),
        ("measures", ("pacbound", "measures"), "from ..training.fit import fit", "from above"),
        ("data", ("pacbound", "data"), "from ..misc import helper", "misc has no place"),
    ],
)
def test_each_rule_names_the_line_that_breaks_it(
    own: str, package: tuple[str, ...], source: str, complaint: str
) -> None:
    (found,) = broken_rules(source, package, own, "f.py")
    assert found.startswith("f.py:")
    assert complaint in found


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import torch", "parses and prints"),
        ("from pacbound.training.fit import fit", "no verb or option"),
        ("from pacbound.reports.show import _money", "private"),
    ],
)
def test_each_rule_of_the_command_line_names_the_line_that_breaks_it(source: str, complaint: str) -> None:
    (found,) = broken_cli_rules(source, "f.py")
    assert complaint in found


def importable(parts: list[str]) -> list[str]:
    files = [file for file in modules("pacbound") if own_part(file) in parts and file.stem != "export"]
    return [".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["pacbound"], id="top level"),
        pytest.param(importable(list(TORCHLESS)), id="arithmetic and reading"),
        pytest.param(importable(["verification"]), id="verification"),
        pytest.param(["pacbound_cli.main"], id="command line"),
    ],
)
def test_importing_does_not_load_anything_heavy_even_through_others(names: list[str]) -> None:
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"loaded = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert run.returncode == 0, run.stderr


def test_no_room_bears_the_name_of_a_public_function() -> None:
    import pacbound

    rooms = {folder.name for folder in (REPOSITORY / "pacbound").iterdir() if folder.is_dir()}
    assert rooms & set(pacbound.__all__) == set()


def test_tests_lie_in_the_rooms_of_what_they_test() -> None:
    rooms = {folder.name for folder in (REPOSITORY / "pacbound").iterdir() if (folder / "__init__.py").exists()}
    mirrored = {folder.name for folder in (REPOSITORY / "tests").iterdir() if any(folder.rglob("test_*.py"))}
    assert rooms <= mirrored
    assert mirrored - rooms == {"attacks", "benchmarks", "cli", "soundness"}
