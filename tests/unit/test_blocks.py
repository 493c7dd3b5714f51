"""Stages that write a text for every question go through problems in blocks, and nobody can tell from the outs."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.core.files import written_together
from augen.entries import Entry, in_blocks
from augen.entries.pickles import dump_pickle
from augen.generation.base import Request
from benchmarks.synthetic import entries
from tests.fakes import FakeEngine, a_writer, sampler_of
from tests.params import write_params

OUTS = {
    "translate": ["data/entries_aug.pkl", "reports/translate.json"],
    "reason_true": ["data/reasoned/entries.pkl", "data/reasoned/entries_aug.pkl", "reports/failed.jsonl"],
    "reason_false": [f"data/reasoned/entries_{name}.pkl" for name in ("false", "aug_false", "own")],
}


def unexplained(count: int, suffix: str = "") -> list[Entry]:
    made = list(entries(2 * count, 1, "p"))
    for entry in made:
        entry.id += suffix
        for item in entry.questions:
            item.reasoning = item.author = None
    return made


@contextmanager
def writer(*_: object) -> Iterator[tuple[Any, Any]]:
    """Some texts answer rightly, some wrongly, some not at all."""

    def text(request: Request) -> str:
        return f"想想。\n答案是：{'ABCD甲'[request.seed % 5]}"

    with sampler_of(FakeEngine(text), Path("store")) as sampler:
        yield a_writer(None, "m"), sampler


def ran(stage: str, folder: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The outs of `stage` with blocks of `size` problems."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AUGEN_CACHE", str(folder / "cache"))
    write_params(folder / "params.yaml", {"translate.limit": 9, "translate.copies": 3, "reason_false.limit": 9})
    dump_pickle("data/entries_raw.pkl", unexplained(10))
    dump_pickle("data/entries_aug.pkl", unexplained(7, "~1"))
    module = import_module(f"stages.{stage}")
    monkeypatch.setattr(module, "in_blocks", partial(in_blocks, size=size))
    monkeypatch.setattr(module, "open_writer", writer, raising=stage != "translate")
    module.main()
    assert not list(folder.rglob("*.partial"))
    return [(folder / out).read_bytes() for out in OUTS[stage]]


@pytest.mark.parametrize("stage", OUTS)
def test_outs_do_not_depend_on_blocks(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ran(stage, tmp_path / "whole", 100, monkeypatch)
    assert all(len(out) > 100 for out in whole)
    assert ran(stage, tmp_path / "blocks", 4, monkeypatch) == whole


def test_outs_appear_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outs = [Path("data/reasoned/a.pkl"), Path("data/b.pkl")]
    with pytest.raises(AugenError, match="no answer"), written_together("stage", outs) as folder:
        for out in outs:
            (folder / out.name).write_text("new")
        raise AugenError("no answer")
    assert not list(Path("data").iterdir())
    with written_together("stage", outs) as folder:
        for out in outs:
            (folder / out.name).write_text("new")
        (folder / "own 0.pkl").write_text("for a while")
    assert sorted(path for path in Path("data").rglob("*") if path.is_file()) == sorted(outs)
