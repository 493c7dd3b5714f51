"""How long an estimate takes, and how right it is for answers of served models: make bench PART=estimates

1. 100,000 questions of as many problems, three attempts at most, none of them stored. Printed are seconds of the
   processor, which hardly depend on what else runs, and how many times as long that is as reading the questions takes.
2. `infer` at a server on this machine, with redraws, with adaptive stopping, and with programs too: first a trial of
   100 questions, then all, with an estimate before each. Printed is what that is of what was taken then.

Takes about three minutes. The real problems are used if they are available.
"""

import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from augen.core.params import Params, load
from augen.core.run import no_arguments
from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.entries.pickles import dump_pickle, load_pickle
from augen.store.responses import Store, default_path
from demo.chat import MODELS, OpenAIServer
from tests.integration.paid import KEYS, ROOT, answer_served
from tests.params import write_params
from tests.real import REAL_DATA
from tools.estimate import Estimate, estimate, page
from tools.forecast import Range, total

QUESTIONS = 100_000
PRICES = [{"model": model, "prompt": 4.0, "reply": 16.0} for model in MODELS]
CHANGES = {
    "reason_true.backend": "qianfan",
    "reason_true.models": list(MODELS),
    "reason_true.hinted": True,
    "reason_true.attempts": 3,
    "providers.qianfan.prices": PRICES,
}
TRIAL, ALL = 100, 700  # questions
SERVED = {
    "infer.engine": "openai",
    "infer.models": list(MODELS),
    "infer.adapter": False,
    "infer.shuffle_options": True,
    "prompt.chat_template": True,
    "rag.k": 0,
    "voters": 5,
    "max_resample": 2,
    "prepare.test": "data/test.jsonl",
    "providers.openai.prices": PRICES,
}
WAYS: dict[str, dict[str, Any]] = {
    "redraws": {"infer.adaptive": False, "infer.programs": 0},
    "adaptive stopping": {"infer.adaptive": True, "infer.programs": 0},
    "adaptive stopping, programs": {"infer.adaptive": True, "infer.programs": 2, "infer.program_weight": 2.0},
}


def main() -> None:
    os.environ.update(KEYS)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["AUGEN_CACHE"] = f"{folder}/responses.sqlite"
        many_questions()
    source = REAL_DATA if REAL_DATA.is_file() else ROOT / "data/raw/train.jsonl"
    entries = read_jsonl(source, answers="required")
    for way, changes in WAYS.items():
        with tempfile.TemporaryDirectory() as folder, OpenAIServer(wrong=0.2, mute=0.1) as server:
            os.chdir(folder)
            os.environ["AUGEN_CACHE"] = f"{folder}/responses.sqlite"
            write_params(Path("params.yaml"), {**SERVED, **changes, "providers.openai.base_url": f"{server.url}/v1"})
            print(f"\ninfer, {way}")
            write_jsonl("data/test.jsonl", entries[:1])
            for questions in (TRIAL, ALL):
                write_jsonl("data/dev.jsonl", first(entries[1:], questions))
                compared(questions)
    os.chdir("/")


def many_questions() -> None:
    write_params(Path("params.yaml"), CHANGES)
    dump_pickle("data/entries_raw.pkl", [problem(number) for number in range(QUESTIONS)])
    dump_pickle("data/entries_aug.pkl", [])
    started = time.process_time()
    load_pickle("data/entries_raw.pkl")
    loaded = time.process_time() - started
    p = load(*Params.model_fields)
    with Store(default_path()) as store:
        started = time.process_time()
        found = estimate("reason_true", p, store)
        seconds = time.process_time() - started
    print(page([found], p))
    ratio = seconds / loaded
    print(f"\n{QUESTIONS:,} questions: {seconds:.0f} s of the processor, {ratio:.1f} times as long as reading them")


def compared(questions: int) -> None:
    """Print the estimate of `infer` for so many questions beside what it then takes."""
    p = load(*Params.model_fields)
    with Store(default_path()) as store:
        found = estimate("infer", p, store)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        answer_served(p)
    used = json.loads(Path("reports/usage.json").read_text(encoding="utf-8"))["infer"]
    paid = used["paid"]
    taken = {"requests": used["requests"], "in": paid["prompt_tokens"], "out": paid["tokens"], "cost": paid["cost"]}
    shares = [f"{name} {ratio(range_, taken[name])}" for name, range_ in sums(found).items()]
    print(f"  {questions} questions: {taken['requests']:,} requests sent; estimated: {', '.join(shares)}")


def sums(found: Estimate) -> Mapping[str, Range]:
    costs = [line.cost for line in found.lines if line.cost]
    return {
        "requests": total([line.requests for line in found.lines]),
        "in": total([line.sent for line in found.lines]),
        "out": total([line.replied for line in found.lines]),
        "cost": total(costs),
    }


def ratio(estimated: Range, taken: float) -> str:
    within = "" if estimated.low <= taken <= estimated.high else " NOT within its range"
    return f"{estimated.likely / taken:.3f} ({estimated.low / taken:.2f} to {estimated.high / taken:.2f}){within}"


def first(entries: Sequence[Entry], questions: int) -> list[Entry]:
    """As many of `entries` as have so many questions."""
    taken: list[Entry] = []
    while sum(len(entry.questions) for entry in taken) < questions:
        taken.append(entries[len(taken)])
    return taken


def problem(number: int) -> Entry:
    text = f"第{number}号房子里住着一个人。{'他的左边住着另一个人，右边的房子是空的。' * 8}"
    question = QuestionItem("选择题 1：哪个说法正确？", ["左边有人", "左边没有人", "不知道"], answer="A")
    return Entry(text, [question], id=f"train_{number:06d}")


if __name__ == "__main__":
    no_arguments(main)
    main()
