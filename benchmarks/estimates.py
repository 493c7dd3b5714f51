"""How long an estimate of many questions takes: make bench PART=estimates

100,000 questions of as many problems, three attempts at most, none of them stored. Printed are seconds of the
processor, which hardly depend on what else runs, and how many times as long that is as reading the questions takes.
"""

import os
import tempfile
import time
from pathlib import Path

from augen.core.params import Params, load
from augen.core.run import no_arguments
from augen.entries import Entry, QuestionItem
from augen.entries.pickles import dump_pickle, load_pickle
from augen.store.responses import Store, default_path
from demo.chat import MODELS
from tests.params import write_params
from tools.estimate import estimate, page

QUESTIONS = 100_000
CHANGES = {
    "reason_true.backend": "qianfan",
    "reason_true.models": list(MODELS),
    "reason_true.hinted": True,
    "reason_true.attempts": 3,
    "providers.qianfan.prices": [{"model": model, "prompt": 4.0, "reply": 16.0} for model in MODELS],
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["AUGEN_CACHE"] = f"{folder}/responses.sqlite"
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
        os.chdir("/")


def problem(number: int) -> Entry:
    text = f"第{number}号房子里住着一个人。{'他的左边住着另一个人，右边的房子是空的。' * 8}"
    question = QuestionItem("选择题 1：哪个说法正确？", ["左边有人", "左边没有人", "不知道"], answer="A")
    return Entry(text, [question], id=f"train_{number:06d}")


if __name__ == "__main__":
    no_arguments(main)
    main()
