"""dvc.yaml says the truth about every stage: its script, code, params, and the files that it reads and writes."""

import ast
import itertools
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.dependencies import ROOT, code_of, module_file, modules_of, params_of
from tests.params import raw_params

LONGEST_SCRIPT = 80  # lines
FOLDERS = ("data", "models", "reports")


def load_yaml(name: str) -> dict[str, Any]:
    return YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))


PARAMS = raw_params()
PIPELINE = load_yaml("dvc.yaml")
STAGES: dict[str, dict[str, Any]] = PIPELINE["stages"]
stages = pytest.mark.parametrize("name", STAGES)


def script(name: str) -> Path:
    return ROOT / "stages" / f"{name}.py"


def filled(text: str) -> str:
    """A dependency with ``${section.key}`` filled in from the tests' params."""
    if not text.startswith("${"):
        return text
    section, key = text.removeprefix("${").removesuffix("}").split(".")
    return str(PARAMS[section][key])


def paths(stage: dict[str, Any], *kinds: str) -> list[str]:
    """The paths that a stage lists under `kinds`, whether or not options follow them."""
    return [filled(p if isinstance(p, str) else next(iter(p))) for kind in kinds for p in stage.get(kind, [])]


def is_code(path: str) -> bool:
    return path.startswith(("augen/", "stages/"))


# --- which files a script names, as far as its source tells


Bound = dict[str, list[ast.expr]]  # of each variable, the expressions that it may stand for
COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Names:
    """Evaluates the paths in a script: texts, f-strings, ``Path(…) / …``, loops over literals, and params.

    Literals may also be imported from ``augen``.

    What depends on data becomes ``*``: ``OUT / f"{name}.csv"`` is ``reports/plots/*.csv`` unless the values of
    ``name`` can be read from the source.
    """

    def __init__(self, source: Path) -> None:
        self.tree = ast.parse(source.read_text(encoding="utf-8"))
        self.bound: Bound = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign):
                _bind(self.bound, node.targets[0], node.value)
            elif isinstance(node, ast.For):
                for element in _elements(node.iter, self.bound):
                    _bind(self.bound, node.target, element)
            elif isinstance(node, ast.ImportFrom) and (imported := module_file(str(node.module))):
                names = {alias.name for alias in node.names}
                for made in ast.parse(imported.read_text(encoding="utf-8")).body:
                    if isinstance(made, ast.Assign) and names & {ast.unparse(target) for target in made.targets}:
                        _bind(self.bound, made.targets[0], made.value)

    def files(self) -> set[str]:
        """Every path or pattern under data/, models/ and reports/ that the script names."""
        texts = _outermost(self.tree, self.bound)
        return {text for text in texts if text.split("/")[0] in FOLDERS and "/" in text and " " not in text}


def _bind(bound: Bound, target: ast.expr, value: ast.expr) -> None:
    if isinstance(target, ast.Name):
        bound.setdefault(target.id, []).append(value)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for part, its_value in zip(target.elts, value.elts, strict=True):
            _bind(bound, part, its_value)


def _elements(iterated: ast.expr, bound: Bound) -> list[ast.expr]:
    """What a loop over `iterated` yields, where that is a literal or the name of one."""
    match iterated:
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return elements
        case ast.Dict(keys=keys):
            return [key for key in keys if key]
        case ast.Name(id=name):
            return [element for value in bound.get(name, []) for element in _elements(value, bound)]
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="items")):
            literals = [value for value in bound.get(name, []) if isinstance(value, ast.Dict)]
            pairs = [pair for value in literals for pair in zip(value.keys, value.values, strict=True)]
            return [ast.Tuple([key, value]) for key, value in pairs if key]
    return []


def _texts(node: ast.expr, bound: Bound) -> set[str]:
    """The values that `node` can have."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.JoinedStr(values=parts):
            return {"".join(found) for found in itertools.product(*(_texts(part, bound) for part in parts))}
        case ast.FormattedValue(value=value) | ast.Call(func=ast.Name(id="Path"), args=[value]):
            return _texts(value, bound)
        case ast.Name(id=name) if name in bound:
            return set().union(*(_texts(value, bound) for value in bound[name]))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return {f"{a}/{b}" for a, b in itertools.product(_texts(left, bound), _texts(right, bound))}
        case ast.Call(func=ast.Attribute(value=value, attr="removesuffix"), args=[ast.Constant(value=str(end))]):
            return {text.removesuffix(end) for text in _texts(value, bound)}
        case ast.Attribute(value=ast.Attribute(attr=section), attr=key) if _is_section(section):
            return {str(PARAMS[section][key])}
        case ast.Attribute(attr=section) if _is_section(section):
            return {str(value) for value in PARAMS[section].values()}
    return {"*"}


def _is_section(name: str) -> bool:
    return isinstance(PARAMS.get(name), dict)


def _outermost(node: ast.AST, bound: Bound) -> Iterator[str]:
    """Values of the largest expressions that make texts; their parts are no paths of their own."""
    if isinstance(node, COMPREHENSIONS):
        bound = dict(bound)
        for loop in node.generators:
            inner: Bound = {}
            for element in _elements(loop.iter, bound):
                _bind(inner, loop.target, element)
            bound |= inner
    if isinstance(node, ast.expr):
        found = _texts(node, bound)
        if found != {"*"}:
            yield from found
            return
    for child in ast.iter_child_nodes(node):
        yield from _outermost(child, bound)


def covers(declared: str, named: str) -> bool:
    """Whether the declared path is what the script names, holds it, or lies in the folder that it names."""
    return fnmatch(declared, named) or named.startswith(f"{declared}/") or declared.startswith(f"{named}/")


# --- the tests


def test_one_stage_per_script() -> None:
    scripts = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert set(STAGES) == scripts


@stages
def test_the_command_runs_the_script(name: str) -> None:
    assert STAGES[name]["cmd"] == f"python -m stages.{name}"


@stages
def test_code_dependencies_are_the_imports(name: str) -> None:
    listed = [path for path in paths(STAGES[name], "deps") if is_code(path)]
    assert len(set(listed)) == len(listed)
    assert set(listed) == code_of(script(name)), "python -m tests.dependencies prints what belongs there"


@stages
def test_params_are_the_loaded_sections(name: str) -> None:
    assert set(STAGES[name]["params"]) == params_of(script(name))
    assert set(STAGES[name]["params"]) <= set(PARAMS)


@stages
def test_every_file_that_the_script_names_is_declared(name: str) -> None:
    declared = [p for p in paths(STAGES[name], "deps", "outs", "metrics", "plots") if not is_code(p)]
    undeclared = [f for f in Names(script(name)).files() if not any(covers(path, f) for path in declared)]
    assert not undeclared


@stages
def test_every_declared_file_is_named_in_the_script(name: str) -> None:
    named = Names(script(name)).files()
    declared = [p for p in paths(STAGES[name], "deps", "outs", "metrics", "plots") if not is_code(p)]
    unused = [p for p in declared if not any(fnmatch(p, f) or f.startswith(f"{p}/") for f in named)]
    assert not unused


def test_every_data_dependency_comes_from_a_stage_or_is_raw() -> None:
    made = [path for stage in STAGES.values() for path in paths(stage, "outs", "metrics", "plots")]
    assert len(set(made)) == len(made)
    raw = {PARAMS["prepare"]["train"], PARAMS["prepare"]["test"]}
    for name, stage in STAGES.items():
        for path in paths(stage, "deps"):
            if not is_code(path) and path not in raw:
                assert any(path == out or path.startswith(f"{out}/") for out in made), f"{name}: {path}"


def test_plots_show_files_that_stages_make() -> None:
    made = {path for stage in STAGES.values() for path in paths(stage, "outs", "metrics", "plots")}
    shown = {file for plot in PIPELINE["plots"] for settings in plot.values() for file in settings["y"]}
    assert shown <= made
    assert {path for path in made if path.endswith(".csv")} == shown, "a curve that nobody sees"


def test_plots_say_what_they_show() -> None:
    own = {path.stem for path in (ROOT / ".dvc/plots").glob("*.json")}
    for plot in PIPELINE["plots"]:
        for name, settings in plot.items():
            assert {"template", "title", "x", "x_label", "y_label"} <= settings.keys(), name
            assert settings["template"] in own, name
            columns = settings["y"].values()
            lines = sum(len(names) if isinstance(names, list) else 1 for names in columns)
            assert lines == 1 or settings["template"] in {"curves", "nested", "points"}, f"{name}: all of one colour"


def test_artifacts_are_outs_and_say_what_they_are() -> None:
    outs = {path for stage in STAGES.values() for path in paths(stage, "outs")}
    assert {"adapter", "scorer"} <= set(PIPELINE["artifacts"])
    for artifact in PIPELINE["artifacts"].values():
        assert artifact["path"] in outs
        assert artifact["type"] == "model"
        assert artifact["desc"] and artifact["labels"]


@stages
def test_scripts_are_short(name: str) -> None:
    lines = script(name).read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_SCRIPT, f"stages/{name}.py: {lines} lines"


def test_pretrain_is_frozen_and_its_models_are_committed() -> None:
    assert [name for name, stage in STAGES.items() if stage.get("frozen")] == ["pretrain"]
    assert STAGES["pretrain"]["outs"] == [{"models/tiny": {"cache": False}}]


def test_metrics_are_committed_and_everything_else_is_cached() -> None:
    """A stage with an uncached out that is no metric is not restored from the run cache.

    Only `evaluate`, which takes seconds, has such: its table and curves can be read in the repository.
    """
    for name, stage in STAGES.items():
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                path, options = (out, {}) if isinstance(out, str) else next(iter(out.items()))
                if name != "pretrain":
                    small = name == "evaluate" and path != "reports/report.html"
                    committed = kind == "metrics" or small
                    assert options.get("cache", True) != committed, f"{name}: {path}"
                assert "persist" not in options, f"{name}: {path} would keep stale rows"


# --- the reading of scripts, by example


def named_in(source: str, tmp_path: Path) -> set[str]:
    file = tmp_path / "stage.py"
    file.write_text(source, encoding="utf-8")
    return Names(file).files()


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ('read("data/a.pkl")', {"data/a.pkl"}),
        ('OUT = Path("data/x")\nwrite(OUT / f"{name}.pkl")', {"data/x", "data/x/*.pkl"}),
        ('for n in ("a", "b"):\n    read(f"data/{n}.pkl")', {"data/a.pkl", "data/b.pkl"}),
        ('[read(f"data/{n}.pkl") for n, right in (("a", 1), ("b", 2))]', {"data/a.pkl", "data/b.pkl"}),
        ('F = {"a": 1}\nfor n, v in F.items():\n    read(f"data/{n}.pkl")', {"data/a.pkl"}),
        (
            'from augen.entries.reasoned import RIGHT_FILES\nfor n in RIGHT_FILES:\n    read(f"data/{n}.pkl")',
            {"data/entries.pkl", "data/entries_aug.pkl", "data/entries_own.pkl"},
        ),
        ('for n in ("a_raw",):\n    read(f"data/{n.removesuffix(\'_raw\')}_b.pkl")', {"data/a_b.pkl"}),
        ("read(p.prepare.test)", {"data/raw/test.jsonl"}),
        ("sampler(p.model)", {"models/tiny/generator"}),
        ("use(p.rag.k)", set()),
        ('print(f"{n}; data/a.pkl")', set()),
        ('print("models/a: 3 files")', set()),
        ('"""data"""\nx = "data"', set()),
    ],
)
def test_which_files_a_script_names(source: str, files: set[str], tmp_path: Path) -> None:
    assert named_in(source, tmp_path) == files


def test_which_code_a_script_needs() -> None:
    assert "augen/generation" in code_of(script("infer")), "imports inside functions"
    assert module_file("augen.generation.engines.vllm") in modules_of(script("infer")), "imports inside functions"
    assert not {"augen/puzzles", "augen/evaluation"} & code_of(script("infer"))


def test_which_params_a_script_loads() -> None:
    assert params_of(script("train_scorer")) == {"seed", "model", "scorer"}
