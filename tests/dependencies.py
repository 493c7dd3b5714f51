"""What a stage's script depends on, read from its source: the folders it imports from and the params it loads.

python -m tests.dependencies    prints both for every stage, to copy into dvc.yaml
"""

import ast
from functools import cache
from pathlib import Path

from augen.core.run import no_arguments

ROOT = Path(__file__).parents[1]


def module_file(name: str) -> Path | None:
    """The source of ``augen.x``; None for what is not a module of this project."""
    path = ROOT / Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if name.split(".")[0] == "augen" and candidate.is_file():
            return candidate
    return None


@cache
def imported(source: Path) -> set[str]:
    """Names of modules that `source` imports anywhere, functions included; parent packages too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            found |= {".".join(parts[: n + 1]) for n in range(len(parts))}
    return found


def modules_of(script: Path) -> set[Path]:
    """The script and every module of the project that it imports, directly or not."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += [found for name in imported(file) if (found := module_file(name))]
    return seen - {ROOT / "augen/__init__.py"}


def code_of(script: Path) -> set[str]:
    """The script and the folders of ``augen/`` that it imports from, directly or not, as paths from the root."""
    paths = (path.relative_to(ROOT) for path in modules_of(script))
    return {"/".join(path.parts[:2]) for path in paths}


def params_of(script: Path) -> set[str]:
    """The sections named in the script's ``load(…)``."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load":
            return {str(ast.literal_eval(argument)) for argument in node.args}
    return set()


def main() -> None:
    for path in sorted((ROOT / "stages").glob("*.py")):
        print(f"{path.stem}:")
        for dep in sorted(code_of(path)):
            print(f"      - {dep}")
        print(f"    params: [{', '.join(sorted(params_of(path)))}]")


if __name__ == "__main__":
    no_arguments(main)
    main()
