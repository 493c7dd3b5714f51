"""A contract for import-linter: a list of arrows that says which folders of a package may import which.

It is checked by ``lint-imports``, which reads it from pyproject.toml::

    [[tool.importlinter.contracts]]
    name = "The house"
    type = "arrows"
    everywhere = ["core", "entries"]        # anybody may import these; each may import those before it
    arrows = ["cook -> pantry stove"]       # `cook` may also import these two

Every import counts, also one inside a function. Arrows must not form a circle, and every folder needs a line.
"""

from graphlib import CycleError, TopologicalSorter
from typing import Any

from importlinter import Contract, ContractCheck, fields, output


class ArrowsContract(Contract):
    everywhere = fields.ListField(subfield=fields.StringField())
    arrows = fields.ListField(subfield=fields.StringField())

    def check(self, graph: Any, verbose: bool) -> ContractCheck:
        [root] = self.session_options["root_packages"]
        allowed = self._allowed()
        folders = {_folder(module, root) for module in graph.modules} - {""}
        faults = [f"{name}: has no line in the contract" for name in folders - allowed.keys()]
        faults += [f"{name}: no such folder" for name in allowed.keys() - folders]
        if circle := _circle(allowed):
            faults.append(f"these arrows make a circle: {' -> '.join(circle)}")
        for importer in graph.modules:
            for imported in graph.find_modules_directly_imported_by(importer):
                source, target = _folder(importer, root), _folder(imported, root)
                if source and target and source != target and target not in allowed.get(source, ()):
                    faults.append(f"{importer} imports {imported}: there is no arrow {source} -> {target}")
        return ContractCheck(kept=not faults, metadata={"faults": sorted(faults)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for fault in check.metadata["faults"]:
            output.print_error(fault)

    def _allowed(self) -> dict[str, set[str]]:
        """The folders that each folder may import."""
        everywhere: list[str] = [*self.everywhere]
        allowed = {name: {*everywhere[:number]} for number, name in enumerate(everywhere)}
        for line in self.arrows:
            name, _, targets = line.partition("->")
            allowed[name.strip()] = {*everywhere, *targets.split()}
        return allowed


def _folder(module: str, root: str) -> str:
    """``a`` of ``root.a.b``; empty for the root itself."""
    return module.removeprefix(root).removeprefix(".").partition(".")[0]


def _circle(allowed: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(allowed).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
