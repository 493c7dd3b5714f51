"""Faults of the files that stages pass on, of the response store, keys, folders and commands."""

import pickle
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from augen.entries import QuestionItem
from augen.entries.pickles import dump_pickle
from augen.retrieval.index import rows_of, write_index
from augen.store.responses import Store
from tests.faults import Arrange, Fault, both, change, in_the_way, lines, param, problem, remove, write

PKL = "data/entries_raw.pkl"


class Runs:
    """Pickled as a call of ``os.mkdir``."""

    def __reduce__(self) -> Any:
        import os

        return os.mkdir, ("made",)


def saved(value: Any, protocol: int = 4) -> bytes:
    return pickle.dumps(value, protocol)


def bad(what: str, data: bytes, says: str) -> Fault:
    return Fault(what, "translate", write(PKL, data), f"translate: {PKL}: {says}")


ONE = problem(1)
SHARED = [QuestionItem("谁？", ["甲", "乙"])] * 300

PICKLES = [
    Fault("the stage before has not run", "translate", remove(PKL), f"translate: {PKL}: cannot be read: No such file…"),
    bad("cut off", saved([ONE])[:100], "ends too early…"),
    bad("a byte changed", saved([ONE]).replace(b"\x93", b"\xff"), "is damaged: byte …is not a pickle instruction"),
    bad("something after its end", saved([ONE]) + b"x", "goes on after its end at byte …: it must hold one pickle"),
    bad("a call of os.mkdir", saved([ONE, Runs()]), "names 'posix.mkdir' near byte …; only …nothing was run"),
    bad(
        "a persistent id", b"\x80\x04Pelsewhere\n.", "holds more than plain entries: instruction PERSID…nothing was run"
    ),
    bad("old protocol", saved([ONE], 1), "is not a pickle, or was saved with an old pickle protocol (0 or 1); …"),
    bad("JSON instead", b'{"problem": "x"}\n', "is not a pickle…"),
    bad("one entry instead of a list", saved(ONE), "holds a pickled Entry, must be a list of entries"),
    bad(
        "texts instead of entries", saved(["x"]), "entry 1: must be an entry (fields problem, questions, id), not text"
    ),
    bad(
        "an answer beyond the options",
        saved([problem(1), problem(2)]).replace(b"\x94\x8c\x01D", b"\x94\x8c\x01F"),
        "entry 1: question 1: answer 'F' but 4 options…",
    ),
    bad(
        "an entry that is no plain dataclass",
        b"\x80\x04\x8c\x0daugen.entries\x8c\x05Entry\x93)\x81N}\x86b.",
        "holds an object near byte …that is not a plain dataclass (one with slots, perhaps)",
    ),
    bad(
        "90,000 questions in 2 kB",
        saved([type(ONE)("题", SHARED)] * 300),
        "is damaged: it claims more fields and options than it has bytes",
    ),
    Fault(
        "wrong reasonings for other questions",
        "filter",
        lambda folder: dump_pickle(folder / "data/reasoned/entries_false.pkl", [problem(99)]),
        "filter: p99#1: a wrong reasoning for a question that the file with the right answers does not hold; run …",
    ),
]


def indexed(folder: Path, dimensions: int = 128) -> None:
    rows = list(rows_of([problem(i) for i in range(3)]))
    write_index(folder / "models/index", rows, [np.eye(3, dimensions, dtype=np.float32)], 3)


def vectors(value: Any) -> Any:
    def arrange(folder: Path) -> None:
        np.save(folder / "models/index/embeddings.npy", value, allow_pickle=True)

    return both(indexed, arrange)


ROWS, VECTORS = "models/index/rows.jsonl", "models/index/embeddings.npy"
INDEX = [
    Fault(
        "no index", "read_index", lambda folder: None, f"{ROWS}: cannot be read (…No such file…); run `dvc repro index`"
    ),
    Fault(
        "a row cut off",
        "read_index",
        both(indexed, lambda f: write(ROWS, (f / ROWS).read_bytes()[:-5])(f)),
        f"{ROWS}:3: not a row of an index (…); run `dvc repro index`",
    ),
    Fault(
        "a row with other fields",
        "read_index",
        both(indexed, change(ROWS, '"origin"', '"source"')),
        f"{ROWS}:1: not a row of an index (…'source'); run `dvc repro index`",
    ),
    Fault(
        "vectors of other rows",
        "read_index",
        vectors(np.eye(5, 128, dtype=np.float32)),
        f"{VECTORS}: shape (5, 128) for 3 rows; run `dvc repro index`",
    ),
    Fault(
        "pickled objects in the vectors",
        "read_index",
        vectors(np.array([Runs()] * 3)),
        f"{VECTORS}: cannot be read (…); run `dvc repro index`",
    ),
    Fault(
        "an index of another embedder",
        "retrieve",
        lambda folder: indexed(folder, 16),
        "models/index: its vectors have 16 dimensions, those of models/tiny/embedder 128: …run `dvc repro index`",
    ),
]

ROW = {"split": "dev", "question": "d10#1", "slot": 1, "round": 0, "text": "", "answer": "D", "score": None}
ROW |= {"accepted": True, "tokens": 1, "finish": "stop", "seed": 1}
SAMPLES = "data/samples.jsonl"
REBUILD = "\nrebuild it: dvc repro infer (with --force if that finds nothing to do)"
DRAWN = [
    Fault("no samples", "evaluate", lambda folder: None, f"evaluate: {SAMPLES}: not found{REBUILD}"),
    Fault(
        "a sample cut off",
        "evaluate",
        write(SAMPLES, b'{"split": "dev"'),
        f"evaluate: {SAMPLES}: line 1: no JSON: …{REBUILD}",
    ),
    Fault(
        "a score that is none",
        "evaluate",
        lines(SAMPLES, ROW | {"score": 7}),
        f"evaluate: {SAMPLES}: line 1: score 7 is not within 0…1{REBUILD}",
    ),
    Fault(
        "other voters than in params.yaml",
        "evaluate",
        lines(SAMPLES, ROW | {"slot": 9}, ROW | {"split": "test"}),
        f"evaluate: {SAMPLES}: slots outside 1…5 (voters): d10#1 (slot 9, round 0)…{REBUILD}",
    ),
    Fault(
        "samples of one split only", "evaluate", lines(SAMPLES, ROW), f"evaluate: {SAMPLES}: no samples of split test…"
    ),
]


def foreign_database(folder: Path) -> None:
    (folder / ".augen").mkdir()
    with sqlite3.connect(folder / ".augen/responses.sqlite") as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")


def unsolved(folder: Path) -> None:
    """Problems without reasonings: there is something to ask for."""
    dump_pickle(folder / PKL, [replace(e, questions=[replace(q, reasoning=None) for q in e.questions]) for e in [ONE]])


def stored(*statements: str) -> Arrange:
    """A store with two responses, then changed by `statements` as no run would."""

    def arrange(folder: Path) -> None:
        with Store(folder / RESPONSES) as store:
            store.put_many({"one": {"text": "yes"}, "two": {"text": "no"}})
        connection = sqlite3.connect(folder / RESPONSES, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return arrange


def cut_off(folder: Path) -> None:
    stored()(folder)
    write(RESPONSES, (folder / RESPONSES).read_bytes()[:5000])(folder)


RESPONSES = ".augen/responses.sqlite"
FLIPPED = "UPDATE responses SET value = replace(value, 'yes', 'yet') WHERE key = 'one'"
OPENAI = {"reason_true.backend": "openai", "reason_true.models": ["m"], "reason_true.hinted": True}
STORE = [
    Fault(
        "another file where the store should be",
        "reason_true",
        write(".augen/responses.sqlite", "not a database " * 99),
        "reason_true: …responses.sqlite: file is not a database; move it away…",
    ),
    Fault(
        "another database", "reason_true", foreign_database, "reason_true: …: a SQLite file, but not a response store…"
    ),
    Fault(
        "a store of 0 bytes",
        "reason_true",
        write(RESPONSES, ""),
        "reason_true: …responses.sqlite: is empty (0 bytes), so what it held is lost; restore a copy of it, or …",
    ),
    Fault(
        "its log without the store",
        "reason_true",
        write(f"{RESPONSES}-wal", "commits"),
        "reason_true: …responses.sqlite: is gone, but its log responses.sqlite-wal is there; put the file back …",
    ),
    Fault(
        "a store of a newer version",
        "reason_true",
        stored("PRAGMA user_version = 2"),
        "reason_true: …: a response store of version 2, and this program knows versions up to 1; update the program…",
    ),
    Fault(
        "a store cut off",
        "reason_true",
        cut_off,
        "reason_true: …: database disk image is malformed; the file is damaged; `python -m augen.store repair …",
    ),
    Fault(
        "a flipped bit in a response",
        f"augen.store check {RESPONSES}",
        stored(FLIPPED),
        f"{RESPONSES}: 1 responses are sound; not sound:\n  the response one is damaged\n`python -m augen.store …",
    ),
    Fault(
        "nothing left to repair",
        f"augen.store repair {RESPONSES}",
        write(RESPONSES, ""),
        f"{RESPONSES}: is empty (0 bytes)…holds no response that can be saved, nothing was changed; restore a copy …",
    ),
    Fault(
        "a file instead of its folder", "reason_true", in_the_way(".augen"), "reason_true: …: File exists; make it …"
    ),
    Fault(
        "no key for Tencent",
        "translate",
        param({"translate.backend": "tencent"}),
        "translate: tencent: no key; set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY in the environment",
    ),
    Fault(
        "no key for Qianfan",
        "reason_true",
        both(unsolved, param(OPENAI | {"reason_true.backend": "qianfan"})),
        "reason_true: qianfan: no key; set QIANFAN_BEARER_TOKEN, or QIANFAN_ACCESS_KEY and QIANFAN_SECRET_KEY in the …",
    ),
    Fault(
        "no key for OpenAI",
        "reason_true",
        both(unsolved, param(OPENAI)),
        "reason_true: openai: no key; set OPENAI_API_KEY in the …",
    ),
]

FOLDERS = [
    Fault(
        "a file instead of data/",
        "prepare",
        both(
            in_the_way("data"),
            param({"prepare.train": "moved-data/raw/train.jsonl", "prepare.test": "moved-data/raw/test.jsonl"}),
        ),
        "prepare: data/entries_raw.pkl: cannot be written: …",
    ),
    Fault(
        "a file instead of reports/",
        "filter",
        in_the_way("reports"),
        "filter: reports: File exists; make it writable, …",
    ),
    Fault(
        "a file instead of data/filtered/",
        "filter",
        in_the_way("data/filtered"),
        "filter: data/filtered: File exists; make it writable, or move away what is in its place…",
    ),
    Fault("not in the repository", "prepare", remove("params.yaml"), "prepare: params.yaml: not found; run from the …"),
    Fault(
        "a model folder that is not there", "identity", lambda folder: None, "models/none: no such model directory; …"
    ),
    Fault(
        "an adapter without files", "adapter", lambda folder: None, "models/adapter: no model files there; dvc pull …"
    ),
    Fault("a scorer without scorer.json", "scorer", lambda folder: None, "models/scorer: not a scorer (…); run `dvc …"),
    Fault("no dvc.lock", "tools.artifacts", lambda folder: None, "…dvc.lock: not found; dvc repro or dvc pull makes …"),
    Fault("a broken dvc.lock", "tools.artifacts", write("dvc.lock", "x: ["), "…dvc.lock: not a lock file of DVC (…"),
    Fault(
        "an out altered by hand",
        "tools.artifacts",
        write("dvc.lock", f"stages: {{prepare: {{outs: [{{path: {PKL}, md5: {'0' * 32}}}]}}}}\n"),
        f"{PKL}: is not what dvc.lock says: altered after it was made",
    ),
    Fault(
        "out and input are one file",
        "augen.entries from-jsonl data/dev.jsonl data/dev.jsonl",
        lambda folder: None,
        "data/dev.jsonl: is the file to read; name another one to write",
    ),
]

FAULTS = {
    "Pickles of entries": PICKLES,
    "The index": INDEX,
    "Samples": DRAWN,
    "The response store and keys": STORE,
    "Folders, models, commands": FOLDERS,
}
