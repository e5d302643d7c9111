"""Tests about the text of the project: every test can fail, and nothing of one machine is written down."""

import ast
import functools
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
TEST_FILES = sorted((REPOSITORY / "tests").rglob("test_*.py"))
SOURCE_FILES = sorted(file for folder in ("pacbound", "cli", "results") for file in (REPOSITORY / folder).rglob("*.py"))
TEXT_FILES = [*SOURCE_FILES, *sorted((REPOSITORY / "tests").rglob("*.py")), REPOSITORY / "pyproject.toml"]

# written in pieces, so that this file does not find itself
MACHINE = {
    "a path of one machine": re.compile("/" + r"(work|tmp|root|Users|mnt|scratch)/"),
    "a private registry": re.compile(r"index" + r"-url|https?://(10|192\.168|172\.\d+)\.\d+\."),
    "a task without a name": re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b(?!\([a-z]+\))"),
    "a switched-off check of types without its name": re.compile(r"# type: " + r"ignore(?!\[)"),
    "a switched-off check of lint without its name": re.compile(r"# no" + r"qa(?!: [A-Z]+\d+)"),
}


RECKLESS = re.compile(r"\b(except|eval|exec|pickle|torch\s*\.\s*load|warnings|print)\b")  # no complaint without these


def spelled(node: ast.expr) -> str:
    """What ast.unparse writes, for names and their attributes in a tenth of its time."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{spelled(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ast.unparse(node)


def can_fail(function: ast.AST, helpers: frozenset[str] = frozenset()) -> bool:
    """Whether a test asserts something computed, expects an exception, or calls a helper that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert) and not is_constant(node.test):
            return True
        if isinstance(node, ast.Call):
            name = spelled(node.func)
            if (
                name in ("pytest.raises", "pytest.fail")
                or name.split(".")[-1].startswith(("assert_", "validate"))
                or name in helpers
                or (name == "figure" and any(keyword.arg == "most" for keyword in node.keywords))  # of the benchmarks
            ):
                return True
    return False


def checking_helpers(tree: ast.Module) -> frozenset[str]:
    """Functions of a test file, or imported from another one, that assert something themselves."""
    bodies = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = {name for name, body in bodies.items() if not name.startswith("test_") and can_fail(body)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            inside = helpers_of(node.module)
            found |= {alias.asname or alias.name for alias in node.names if alias.name in inside}
    return frozenset(found)


@functools.cache
def helpers_of(module: str) -> frozenset[str]:
    """The same of a module that many test files import from."""
    source = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py").read_text("utf-8")
    return checking_helpers(ast.parse(source))


def is_constant(test: ast.expr) -> bool:
    """Whether an assertion says the same whatever the code does."""
    if isinstance(test, ast.Tuple):
        return True  # a non-empty tuple is true: the message was put inside
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(is_constant(value) for value in test.values)
    if isinstance(test, ast.Compare) and not calls(test):
        return ast.dump(test.left) in [ast.dump(other) for other in test.comparators] or not named(test)
    return not named(test)


def named(test: ast.expr) -> bool:
    """Whether an expression speaks of anything but constants."""
    return any(isinstance(node, (ast.Name, ast.Call, ast.Attribute)) for node in ast.walk(test))


def calls(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Call) for part in ast.walk(node))


def vacuous(source: str) -> list[str]:
    """Say which line of a test file asserts nothing, swallows failures, or skips without a reason."""
    complaints = []
    tree = ast.parse(source)
    helpers = checking_helpers(tree)
    for node in ast.walk(tree):
        is_test = isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if is_test and not can_fail(node, helpers):
            complaints.append(f"{node.lineno}: {node.name} cannot fail")
        if isinstance(node, ast.Assert) and is_constant(node.test):
            complaints.append(f"{node.lineno}: `{ast.unparse(node)[:60]}` says nothing")
        if isinstance(node, ast.ExceptHandler) and swallows(node):
            complaints.append(f"{node.lineno}: a failure is swallowed")
        if isinstance(node, ast.Call) and not has_reason(node):
            complaints.append(f"{node.lineno}: {ast.unparse(node.func)} gives no reason")
        off = isinstance(node, ast.Attribute) and node.attr in ("skip", "xfail")
        if off and spelled(node) in ("pytest.mark.skip", "pytest.mark.xfail"):
            complaints.append(f"{node.lineno}: {ast.unparse(node)} switches a test off; repair or delete it")
    return complaints


def swallows(handler: ast.ExceptHandler) -> bool:
    wide = handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException", "AssertionError")
    idle = all(isinstance(step, (ast.Pass, ast.Continue)) for step in handler.body)
    return wide and (idle or handler.type is None)


def has_reason(call: ast.Call) -> bool:
    name = spelled(call.func)
    if name in ("pytest.skip", "pytest.importorskip"):
        return bool(call.args or call.keywords)
    if name == "pytest.mark.skipif":
        return any(keyword.arg == "reason" for keyword in call.keywords)
    return True


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: str(file.relative_to(REPOSITORY / "tests")))
def test_every_test_can_fail(file: Path) -> None:
    assert vacuous(file.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("def test_a():\n    run()", "1: test_a cannot fail"),
        ("def run():\n    pass\ndef test_a():\n    run()", "3: test_a cannot fail"),
        ("def test_a():\n    assert True\n    assert run()", "2: `assert True` says nothing"),
        ("def test_a():\n    assert (run() == 2, 'message')\n    assert run()", "2: `assert (run()"),
        ("def test_a():\n    assert run() or 1", "cannot fail"),
        ("def test_a():\n    assert x == x", "cannot fail"),
        (
            "def test_a():\n    try:\n        assert run()\n    except Exception:\n        pass",
            "4: a failure is swallowed",
        ),
        ("def test_a():\n    try:\n        assert run()\n    except:\n        y = 1", "4: a failure is swallowed"),
        ("def test_a():\n    pytest.skip()\n    assert run()", "2: pytest.skip gives no reason"),
        ("@pytest.mark.skipif(x)\ndef test_a():\n    assert run()", "1: pytest.mark.skipif gives no reason"),
        ("@pytest.mark.xfail(reason='late')\ndef test_a():\n    assert run()", "1: pytest.mark.xfail switches"),
    ],
)
def test_the_scan_sees_what_asserts_nothing(source: str, complaint: str) -> None:
    assert any(complaint in found for found in vacuous(source))


@pytest.mark.parametrize(
    "source",
    [
        "def test_a():\n    assert run() == 2",
        "def test_a():\n    with pytest.raises(ValueError):\n        run()",
        "def same(x):\n    assert x == 1\ndef test_a():\n    same(2)",
        "from tests.forge import caught\ndef test_a():\n    caught(2)",
    ],
)
def test_the_scan_lets_pass_what_can_fail(source: str) -> None:
    assert vacuous(source) == []


@pytest.mark.parametrize("file", TEXT_FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_nothing_of_one_machine_and_nothing_unfinished_is_written_down(file: Path) -> None:
    text = file.read_text("utf-8")
    found = [
        f"{number}: {what}: {line.strip()[:80]}"
        for what, pattern in MACHINE.items()
        if pattern.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "open('/" + "work/data')"),
        ("a private registry", "pip install --index" + "-url x"),
        ("a task without a name", "# TO" + "DO later"),
        ("a switched-off check of types without its name", "x = 1  # type: " + "ignore"),
        ("a switched-off check of lint without its name", "import x  # no" + "qa"),
    ],
)
def test_the_scan_sees_each_thing_it_looks_for(what: str, line: str) -> None:
    assert MACHINE[what].search(line) is not None


def reckless(source: str, prints: bool) -> list[str]:
    """Say which line of the package swallows a failure, runs what it reads, warns, or prints though it may not."""
    if not RECKLESS.search(source):
        return []
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and swallows(node):
            complaints.append(f"{node.lineno}: a failure is swallowed")
        if isinstance(node, ast.Call):
            name = spelled(node.func)
            safe = name != "torch.load" or "weights_only=True" in [ast.unparse(keyword) for keyword in node.keywords]
            if name in ("eval", "exec", "pickle.load", "pickle.loads") or not safe:
                complaints.append(f"{node.lineno}: {name} runs what it reads")
            if name in ("warnings.warn", "warnings.filterwarnings", "warnings.simplefilter"):
                complaints.append(f"{node.lineno}: a number is refused or right, never warned about")
            if name == "print" and not prints:
                complaints.append(f"{node.lineno}: the package returns; only the command line prints")
    return complaints


@pytest.mark.parametrize("file", SOURCE_FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_the_package_swallows_no_failure_and_runs_nothing_that_it_reads(file: Path) -> None:
    assert reckless(file.read_text("utf-8"), prints=REPOSITORY / "pacbound" not in file.parents) == []


@pytest.mark.parametrize("line", ["eval(x)", "torch.load(x)", "warnings.warn(x)", "print(x)"])
def test_the_scan_of_the_package_sees_each_thing_it_looks_for(line: str) -> None:
    assert len(reckless(line, prints=False)) == 1
