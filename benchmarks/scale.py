"""Measures time and memory of everything except the models, by the size of the data: make bench PART=scale

    python -m benchmarks.scale 1000 10000       these numbers of questions instead of 1,000, 10,000 and 100,000
    python -m benchmarks.scale 1000000 --only prepare evaluate

Each step runs in its own process on made-up questions (`benchmarks.synthetic`); stages run as their own scripts.
Seconds are processor time, so that other work on the machine matters little; memory is the peak of the process.
docs/SCALE.md has the figures of one machine.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tabulate import tabulate

from augen.entries import Entry
from benchmarks.synthetic import entries, write_samples
from tests.params import write_params

ROOT = Path(__file__).parents[1]
SIZES = (1_000, 10_000, 100_000)
SAMPLES = 5
ATTEMPTS = 2  # at a reasoning
DIMENSIONS = 128
EMBEDDED = 100_000  # texts together
QUERIES = 500  # of the retriever; `infer` makes one query per question


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description="Time and memory of everything but the models, by number of questions.",
    )
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, help="questions (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), help="these steps, not all")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)  # a step and its size, in the folder it is started in
    options = parser.parse_args()
    if options.run:
        STEPS[options.run[0]][1](int(options.run[1]))
        return
    rows = []
    for step in options.only:
        for size in options.sizes:
            seconds, mib = measured(step, size)
            rows.append((step, f"{size:,}", f"{seconds:.1f}", f"{mib:.0f}", f"{seconds / size * 1e5:.1f}"))
            print(*rows[-1], sep="\t", file=sys.stderr, flush=True)
    headers = ("step", "questions", "s", "MiB", "s per 100,000")
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=("left", *["right"] * 4)))


def measured(step: str, size: int) -> tuple[float, float]:
    """Processor seconds and MiB of `step` at `size` questions, without making its input."""
    with tempfile.TemporaryDirectory() as folder:
        raw_data = {"prepare.train": "train.jsonl", "prepare.test": "test.jsonl", "prepare.synthetic": 0}
        unlimited = {"translate.limit": None, "reason_false.limit": None, "finetune.reasonings": None}
        preferred = {"prefer.method": "dpo"}
        attempts = {"reason_true.attempts": ATTEMPTS, "reason_false.attempts": ATTEMPTS}
        write_params(Path(folder, "params.yaml"), raw_data | unlimited | preferred | attempts | {"voters": SAMPLES})
        before = os.getcwd()
        os.chdir(folder)
        try:
            Path("data").mkdir()
            STEPS[step][0](size)
            command = [sys.executable, "-m", "benchmarks.scale", "--run", step, str(size)]
            environment = os.environ | {
                "PYTHONPATH": str(ROOT),
                "AUGEN_CACHE": f"{folder}/cache",
                "OMP_NUM_THREADS": "1",
            }
            reader, writer = os.pipe()
            with os.fdopen(reader) as figures:
                done = subprocess.Popen(
                    command, env=environment | {"FIGURES": str(writer)}, pass_fds=[writer], stdout=-3
                )
                os.close(writer)
                found = figures.read()
            if done.wait():
                raise SystemExit(f"{step} at {size:,} questions ended with {done.returncode}")
        finally:
            os.chdir(before)
    seconds, mib = json.loads(found)
    return seconds, mib


def stage(name: str) -> Callable[[int], None]:
    """Runs ``python -m stages.name`` as it is."""

    def run(_: int) -> None:
        import runpy

        runpy.run_module(f"stages.{name}", run_name="__main__")

    return run


def timed(step: Callable[[int], None]) -> Callable[[int], None]:
    def run(size: int) -> None:
        start = resource.getrusage(resource.RUSAGE_SELF)
        before = start.ru_utime + start.ru_stime
        step(size)
        used = resource.getrusage(resource.RUSAGE_SELF)
        with os.fdopen(int(os.environ["FIGURES"]), "w") as out:
            json.dump([used.ru_utime + used.ru_stime - before, most_mib()], out)

    return run


def most_mib() -> float:
    """The peak memory of this process; Linux's ``ru_maxrss`` would include its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


# --- the steps: what each needs, and what it does


def raw(made: Iterable[Entry], *, answers: bool = True) -> Iterator[Entry]:
    """`made` one by one as in a raw data set."""
    from augen.puzzles.dataset import as_raw

    return (entry for each in made for entry in as_raw([each], answers=answers))


def raw_files(size: int) -> None:
    from augen.entries.jsonl import write_jsonl

    write_jsonl("train.jsonl", raw(entries(size, 1)))
    write_jsonl("test.jsonl", raw(entries(max(10, size // 10), 2, "t"), answers=False))


def unexplained_files(size: int) -> None:
    from dataclasses import replace

    from augen.entries.pickles import dump_pickle

    Path("models").mkdir()
    Path("models/tiny").symlink_to(ROOT / "models/tiny")
    dump_pickle("data/entries_raw.pkl", raw(entries(size, 1)))
    copies = (replace(entry, id=f"{entry.id}~1") for entry in raw(entries(size // 10, 1)))
    dump_pickle("data/entries_aug.pkl", copies)


def writing(name: str) -> Callable[[int], None]:
    """The stage `name` with an engine that answers at once."""

    def run(size: int) -> None:
        from augen.generation import open as opening
        from augen.generation.engines import resolve

        engine = forgetful()
        engine.name = resolve("auto")
        opening.open_engine = lambda *_: engine
        stage(name)(size)

    return run


def forgetful() -> Any:
    """An engine that answers at once, by chance, and keeps no request, like real ones."""
    from tests.fakes import FakeEngine

    class Forgetful(FakeEngine):
        def generate(self, requests: Any) -> Any:
            for answer in super().generate(requests):
                self.asked.clear()
                yield answer

    return Forgetful(lambda request: f"因为如此。\n答案是：{'ABCD'[request.seed % 4]}")


def reasoned_files(size: int) -> None:
    """`size` reasonings in all in the four files; dev and test have a tenth of that each."""
    from augen.core.files import write_json
    from augen.entries.jsonl import write_jsonl
    from augen.entries.pickles import dump_pickle

    for name, seed in (("entries", 1), ("entries_aug", 2)):
        dump_pickle(f"data/reasoned/{name}.pkl", entries(size // 4, seed, name))
        dump_pickle(f"data/reasoned/{name}_false.pkl", map(wrong, entries(size // 4, seed, name)))
    dump_pickle("data/reasoned/entries_own.pkl", [])
    write_json("reports/translate.json", {"counts": {}, "examples": {}})
    write_jsonl("data/dev.jsonl", raw(entries(size // 10, 3, "d")))
    write_jsonl("data/votes.jsonl", raw(entries(size // 10, 5, "v")))
    write_jsonl("test.jsonl", raw(entries(size // 10, 4, "t"), answers=False))


def wrong(entry: Entry) -> Entry:
    """`entry` with the next option for every answer, also at the end of its reasoning."""
    from dataclasses import replace

    items = []
    for item in entry.questions:
        other = "ABCD"[("ABCD".index(item.answer or "A") + 1) % 4]
        items.append(replace(item, reasoning=f"{(item.reasoning or '')[:-1]}{other}", answer=other))
    return replace(entry, questions=items)


def training(name: str) -> Callable[[int], None]:
    """The stage `name` until the first step of its training, whose examples are there."""

    def run(size: int) -> None:
        from transformers import Trainer

        def begin(trainer: Any, **_: Any) -> None:
            next(iter(trainer.get_train_dataloader()))
            raise SystemExit

        Trainer.train = begin
        with suppress(SystemExit):
            stage(name)(size)

    return run


def asked_file(size: int) -> None:
    from augen.entries.jsonl import write_jsonl

    write_jsonl("data/test.jsonl", entries(size, 1))


def filtered_files(size: int) -> None:
    """A right and a wrong reasoning of each question, an index that is not searched, and an adapter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from augen.entries.pickles import dump_pickle
    from augen.entries.reasoned import FILES

    index_files(2)
    Path("models/tiny").symlink_to(ROOT / "models/tiny")
    base = AutoModelForCausalLM.from_pretrained("models/tiny/generator")
    get_peft_model(base, LoraConfig(target_modules="all-linear")).save_pretrained("models/adapter")
    for name in FILES:
        dump_pickle(f"data/filtered/{name}.pkl", [])
    dump_pickle("data/filtered/entries.pkl", entries(size, 1))
    dump_pickle("data/filtered/entries_false.pkl", map(wrong, entries(size, 1)))


def solved_file(size: int) -> None:
    from augen.entries.pickles import dump_pickle

    dump_pickle("data/entries.pkl", entries(size, 1))


def index(size: int) -> None:
    """What the stages index and infer do with rows and vectors, but for embedding."""
    from augen.entries.pickles import stream_pickle
    from augen.retrieval.index import read_index, rows_of, write_index

    count = sum(1 for _ in rows_of(stream_pickle("data/entries.pkl")))
    write_index(Path("models/index"), rows_of(stream_pickle("data/entries.pkl")), vectors_of(count), count)
    assert len(read_index(Path("models/index"))[0]) == size


def vectors_of(count: int) -> Iterator[Any]:
    """Blocks of vectors, as the stage `index` embeds them."""
    rng = np.random.default_rng(1)
    for start in range(0, count, EMBEDDED):
        drawn = rng.standard_normal((min(EMBEDDED, count - start), DIMENSIONS), dtype=np.float32)
        yield drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


class GivenVectors:
    """An embedder that returns given vectors."""

    model = None

    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors

    def embed(self, texts: Any) -> Any:
        return self.vectors[: len(texts)]

    embed_queries = embed


def index_files(size: int) -> None:
    from augen.retrieval.index import rows_of, write_index

    write_index(Path("models/index"), rows_of(entries(size, 1)), vectors_of(size), size)


def retrieval(size: int) -> None:
    """An index of `size` rows is read, and `QUERIES` questions are asked of it."""
    from augen.entries import questions
    from augen.retrieval.examples import Retriever
    from augen.retrieval.index import read_index

    embedder: Any = GivenVectors(next(vectors_of(QUERIES)))
    retriever = Retriever(*read_index(Path("models/index")), embedder)
    asked = questions(entries(QUERIES, 1))
    assert all(len(found) == 2 for found in retriever.examples(asked, 2))


def infer(size: int) -> None:
    """Rounds, prompts, keys, store, parsing, voting and writing, with an engine that answers at once."""
    from augen.answering.questions import Prompting, answered
    from augen.answering.rounds import Rounds
    from augen.core.files import write_lines
    from augen.entries.jsonl import write_jsonl
    from augen.entries.ondisk import EntryFile, Questions
    from augen.voting.samples import sample_lines
    from augen.voting.settings import VotingSettings
    from tests.fakes import FakeWindow, sampler_of

    file = EntryFile("data/test.jsonl", answers="required")
    asked = Questions(test=file)
    solved = asked[0]
    examples = [[(solved.problem, solved.item)]] * size
    rng = Random(1)
    prompting = Prompting("请解答。", FakeWindow(), 42, 1.0, 1.0, 256, adapters=1)
    settings = VotingSettings(SAMPLES, 2, 0.3, method="weighted")
    with sampler_of(forgetful(), Path("store")) as sampler:
        rounds = Rounds(asked, examples, prompting, settings)
        found = rounds.run(sampler, lambda solutions: [rng.random() for _ in solutions])
    write_lines("data/samples.jsonl", sample_lines(found.every_sample, settings.threshold))
    write_jsonl("data/upload.jsonl", answered(file, found.codes("test")))


def drawn_files(size: int) -> None:
    from augen.core.files import write_json, write_lines
    from augen.entries.jsonl import write_jsonl
    from tests.runs import example_rows, filter_report, line, scorer_report

    write_jsonl("data/dev.jsonl", entries(size, 1))
    write_samples(Path("data/samples.jsonl"), entries(size, 1), "dev", SAMPLES)
    write_samples(Path("data/samples.jsonl"), entries(100, 2, "t"), "test", SAMPLES)
    write_samples(Path("data/baseline.jsonl"), entries(size, 1), "dev", 3)
    write_lines("data/examples.jsonl", map(line, example_rows("dev", entries(size, 1), 0)))
    write_json("reports/filter.json", filter_report(Random(size)))
    write_json("reports/scorer.json", scorer_report())


STEPS: dict[str, tuple[Callable[[int], None], Callable[[int], None]]] = {
    "prepare": (raw_files, timed(stage("prepare"))),
    "translate": (unexplained_files, timed(stage("translate"))),
    "reason_true": (unexplained_files, timed(writing("reason_true"))),
    "reason_false": (unexplained_files, timed(writing("reason_false"))),
    "filter": (reasoned_files, timed(stage("filter"))),
    "train_scorer": (filtered_files, timed(training("train_scorer"))),
    "finetune": (filtered_files, timed(training("finetune"))),
    "prefer": (filtered_files, timed(training("prefer"))),
    "index": (solved_file, timed(index)),
    "retrieval": (index_files, timed(retrieval)),
    "infer": (asked_file, timed(infer)),
    "evaluate": (drawn_files, timed(stage("evaluate"))),
}


if __name__ == "__main__":
    main()
