"""The limits of docs/conventions.md, read off the syntax trees of src/.

Lines of a function: from `def` to its last line, without the docstring. Parameters: all but self and cls.
"""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "mien"
FILES = sorted(SRC.rglob("*.py"))
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BANNED_NAMES = {"utils", "util", "helpers", "helper", "misc", "common", "manager"}
BANNED_CALLS = {"print", "exit", "quit", "sys.exit", "os._exit", "breakpoint", "torch.manual_seed", "torch.seed"}
BANNED_CALLS |= {"random.seed", "np.random.seed", "numpy.random.seed", "torch.cuda.manual_seed", "seed_everything"}


def _functions():
    for file, tree in TREES.items():
        yield from ((file, node) for node in ast.walk(tree) if isinstance(node, FUNCTION))


def _lines(node) -> int:
    first = node.body[0]
    docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node, clean=False) is not None else 0
    return node.end_lineno - node.lineno + 1 - docstring


def _parameters(node) -> int:
    names = [a.arg for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs]
    return len([n for n in names if n not in ("self", "cls")]) + bool(node.args.vararg) + bool(node.args.kwarg)


def _at(file: Path, node, what: object) -> str:
    return f"{file.relative_to(SRC.parents[1])}:{node.lineno} {what}"


def _public(file: Path, body: list):
    """Public functions and classes of a module, and the public methods of those classes but forward."""
    if file.stem.startswith("_") and file.stem != "__init__":
        return
    for node in body:
        if isinstance(node, (*FUNCTION, ast.ClassDef)) and not node.name.startswith("_") and node.name != "forward":
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(file, node.body)


def test_files_are_short_and_named_after_things():
    assert not [f"{f}: {n} lines" for f in FILES if (n := len(f.read_text(encoding="utf-8").splitlines())) > 400]
    assert not [str(f) for f in SRC.rglob("*") if f.stem in BANNED_NAMES]


def test_functions_are_short_and_take_few_parameters():
    assert not [_at(f, n, f"{n.name}: {_lines(n)} lines") for f, n in _functions() if _lines(n) > 60]
    assert not [_at(f, n, f"{n.name}: {_parameters(n)} parameters") for f, n in _functions() if _parameters(n) > 8]
    assert statistics.median(_lines(n) for _, n in _functions()) <= 12


def test_no_banned_calls():
    calls = [(f, n) for f, tree in TREES.items() for n in ast.walk(tree) if isinstance(n, ast.Call)]
    found = [(f, n, ast.unparse(n.func)) for f, n in calls]
    assert not [_at(f, n, name) for f, n, name in found if name in BANNED_CALLS or name.endswith(".cuda")]


def _is_stub(node) -> bool:
    """A protocol's method without a body: the protocol's docstring speaks for it."""
    return isinstance(node.body[0], ast.Expr) and getattr(node.body[0].value, "value", None) is ...


def test_public_names_are_documented():
    public = [(f, n) for f, tree in TREES.items() for n in _public(f, tree.body) if not _is_stub(n)]
    assert not [_at(f, n, n.name) for f, n in public if not ast.get_docstring(n)]


def test_import_is_quick_and_leaves_torch_alone():
    code = (
        "import time; t = time.perf_counter(); import mien, sys; print(time.perf_counter() - t, 'torch' in sys.modules)"
    )
    runs = [subprocess.check_output([sys.executable, "-c", code], text=True).split() for _ in range(3)]
    assert min(float(seconds) for seconds, _ in runs) < 1
    assert {has_torch for _, has_torch in runs} == {"False"}
