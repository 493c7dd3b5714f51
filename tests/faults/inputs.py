"""Faults of raw data and params."""

import json
from typing import Any

from tests.faults import Arrange, Fault, both, change, param, problem, remove, write

TRAIN = "data/raw/train.jsonl"


def line(**changes: Any) -> bytes:
    """A raw problem as a line, with changes; a change to `...` leaves the field out."""
    entry = problem(50)
    [item] = entry.questions
    question = {"question": item.question, "options": item.options, "answer": item.answer}
    fields = {"problem": entry.problem, "questions": [question], "id": entry.id}
    for name, value in changes.items():
        target = question if name in ("question", "options", "answer") else fields
        target[name] = value
        if value is ...:
            del target[name]
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def raw(what: str, content: bytes, says: str, path: str = TRAIN) -> Fault:
    """The file has a sound first line, then `content`."""
    return Fault(what, "prepare", write(path, line(id="first") + content), f"prepare: {path}:2: {says}")


def knob(what: str, arrange: Arrange, says: str) -> Fault:
    return Fault(what, "prepare", arrange, f"prepare: params.yaml{says}")


RAW = [
    Fault("no such file", "prepare", remove(TRAIN), f"prepare: {TRAIN}: cannot be read: No such file or directory"),
    Fault(
        "a folder instead of a file",
        "prepare",
        param({"prepare.train": "data/raw"}),
        "prepare: data/raw: cannot be read: Is a directory",
    ),
    Fault(
        "empty file",
        "prepare",
        write(TRAIN, b"\n"),
        f"prepare: {TRAIN}: the file is empty; at least one entry is needed",
    ),
    Fault(
        "a JSON array instead of lines",
        "prepare",
        write(TRAIN, b'[{"problem": "x"}]\n'),
        f"prepare: {TRAIN}: is one JSON array; `jq -c '.[]' FILE` writes each of its elements on a line; wanted is "
        "JSON Lines, one problem a line",
    ),
    Fault(
        "a web page instead of the file",
        "prepare",
        write(TRAIN, b"<!DOCTYPE html>\n<html>sign in</html>\n"),
        f"prepare: {TRAIN}: begins like a web page (HTML or XML), perhaps that of a login instead of the download; "
        "wanted is JSON Lines, one problem a line",
    ),
    raw("id of a copy", line(id="2024~1"), "id: '2024~1' has a ~, which marks rewritten copies of one problem…"),
    raw(
        "letters in the options",
        line(options=["(A)甲", "(B)乙"], answer="A"),
        "question 1: options: each begins with its own letter ('(A)甲')…",
    ),
    raw("line cut off", line()[:12], "not JSON: …the line seems to be cut off"),
    raw("not UTF-8 (GBK)", line().decode().encode("gbk"), "not UTF-8: byte …; save the file as UTF-8"),
    raw(
        "byte order mark", b"\xef\xbb\xbf" + line(), "starts with a byte order mark; save the file as UTF-8 without it"
    ),
    raw("blank line", b"\n" + line(), "blank line; only the end of the file may have any"),
    raw("a field twice", b'{"id": "a", "id": "b"}\n', "'id': the field is given twice"),
    raw("NaN", b'{"problem": NaN}\n', "not JSON: NaN is no JSON value"),
    raw(
        "half a surrogate pair", line().replace(b'"p50"', b'"\\ud800"'), "id: character 1 is half of a surrogate pair…"
    ),
    raw("nested 5,000 deep", b"[" * 5000 + b"\n", "not an entry: lists or objects are nested too deeply"),
    raw("misspelt field", line(quesions=[]), "unknown field 'quesions'; did you mean 'questions'?"),
    raw("no problem text", line(problem=" "), "problem: is empty"),
    raw("no questions", line(questions=[]), "questions: the list is empty; an entry needs at least one question"),
    raw("question is missing", line(question=...), "question 1: question: missing"),
    raw("one option", line(options=["甲"]), "question 1: options: 1 given, must be 2 to 10"),
    raw("number as option", line(options=["甲", 2, "丙", "丁"]), "question 1: option B: must be text, not a number"),
    raw("answer beyond the options", line(answer="F"), "question 1: answer 'F' but 4 options"),
    raw("answer in small letters", line(answer="b"), "question 1: answer 'b' must be one of the letters A to D"),
    raw("training problem without answer", line(answer=...), "question 1: answer: missing"),
    raw("no id", line(id=...), "id: missing"),
    raw("id twice", line(id="first"), f"id: 'first' is already the id of {TRAIN}:1"),
    raw("test file with a wrong answer", line(answer=7), "question 1: answer: must be text…", "data/raw/test.jsonl"),
    Fault(
        "too few problems to hold some out",
        "prepare",
        write(TRAIN, line()),
        "prepare: 1 problems with prepare.dev_fraction 0.3 leave 0 to measure on and 1 to train on; change …",
    ),
]

PARAMS = [
    knob("no params.yaml", remove("params.yaml"), ": not found; run from the repository's root, where dvc.yaml is"),
    knob("broken YAML", write("params.yaml", "seed: [1\n"), ":2: not valid YAML: …"),
    knob("a key twice", write("params.yaml", "seed: 1\nseed: 2\n"), ":2: not valid YAML: …duplicate key…"),
    knob("no mapping", write("params.yaml", "- 1\n"), ": expected a mapping of sections, found list"),
    knob("misspelt key", change("params.yaml", "voters:", "voter:"), ": …voter: unknown key; did you mean 'voters'?"),
    knob("missing key", change("params.yaml", "seed: 42", ""), ": seed: missing; see the commented params.yaml…"),
    knob("text as number", param({"voters": "five"}), ": voters: input should be a valid integer, found 'five'"),
    knob("no voters", param({"voters": 0}), ": voters: input should be greater than or equal to 1, found 0"),
    knob(
        "share above 1", param({"infer.threshold": 30}), ": infer.threshold: input should be less than or equal to 1…"
    ),
    knob("not a number", param({"infer.temperature": float("nan")}), ": infer.temperature: input should be a finite…"),
    knob("unknown backend", param({"translate.backend": "google"}), ": translate.backend: input should be 'synonyms'…"),
    knob(
        "paid backend without a model",
        param({"reason_true.backend": "openai"}),
        ": reason_true: backend openai needs at least one name in models",
    ),
    knob(
        "lomo with accumulated gradients",
        param({"scorer.optimizer": "lomo", "scorer.gradient_accumulation": 4}),
        ": scorer: optimizer lomo updates during backward: set gradient_accumulation to 1",
    ),
    knob(
        "lengths in the wrong order",
        param({"translate.min_length_ratio": 3.0}),
        ": translate: min_length_ratio must be below max_length_ratio",
    ),
    knob(
        "a password in an address",
        param({"providers.openai.base_url": "https://name:word@127.0.0.1/v1"}),
        ": providers.openai: base_url holds a user name or a password, which dvc.lock and the run cache would keep: "
        "take it out and set OPENAI_API_KEY in the environment instead",
    ),
    knob(
        "two faults at once",
        both(param({"voters": -1}), param({"seed": -1})),
        ": seed: …\nparams.yaml: voters: …",
    ),
]

FAULTS = {"Raw data": RAW, "Params": PARAMS}
