"""Measures what each part of the pipeline is worth by changing one parameter at a time: make ablation

Every experiment is a real ``dvc exp run --temp -S …``, which leaves the working tree as it is. Stages that the change
does not affect come from DVC's run cache, and samples that were already drawn come from the response store. An
interrupted run continues where it stopped.

PART=inference    adapter, votes, temperature, redraws, scorer, a second generator (without adapter), shuffling,
                  adaptive stopping
PART=data         new puzzles, their programs' rules, rewriting, which right reasonings are lessons and how much of
                  them, pseudo-labels, preference training, several adapters, kind of wrong reasonings, input of the
                  scorer, retrieval (trains again, minutes each)

PART may also name single factors of these: PART="votes,new puzzles". Without PART, all run. The result is one table,
printed and written to reports/ablation.md. It has the accuracy on the dev questions, by the vote of the reasonings
alone and by that of reasonings and programs, and the difference of each to that of params.yaml, paired by question,
± one standard error clustered by problem. It also says how well the scorer separates the generator's right samples
from its wrong ones, on the same dev questions, on which no scorer was trained.
"""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from tabulate import tabulate

from augen.core.arrays import Floats
from augen.core.errors import AugenError
from augen.core.params import check
from augen.entries import letter_of
from augen.entries.jsonl import read_jsonl
from augen.metrics.quality import auc_within, scorer_quality
from augen.metrics.stats import cluster_mean, paired_difference, with_error
from augen.voting.generators import weighed
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, SampleFile, Samples, dev_questions, matched, read_samples, reasonings
from augen.voting.settings import VotingSettings
from augen.voting.vote import handed_in
from tools import pseudo_labels

Change = Mapping[str, Any]  # params by dotted key
# Made of the run without a change, of the same seed. DVC does not look into them, so a hash of their content is added.
EARLIER = "models/adapter_{seed}"  # its adapter, for one round of rejection fine-tuning
PSEUDO = "data/pseudo_{seed}.pkl"  # the test questions of which it was sure

# Every setting that differs from params.yaml is an experiment.
PARTS: dict[str, dict[str, Sequence[Change]]] = {
    "inference": {
        "adapter": [{"infer.adapter": on} for on in (False, True)],
        "votes": [{"voters": n} for n in (1, 3, 5, 9)],
        "temperature": [{"infer.temperature": t} for t in (0.5, 0.7, 1.0, 1.3)],
        "redraws": [{"max_resample": n} for n in (0, 2)],
        "vote": [
            {"infer.threshold": 0.0, "infer.vote": "majority"},
            {"infer.vote": "majority"},
            {"infer.vote": "likelihood"},
            {"infer.vote": "weighted"},
            {"infer.vote": "best"},
        ],
        "scorer": [
            {"scorer.objective": "classify", "infer.vote": "weighted"},
            {"scorer.objective": "pairwise", "infer.vote": "weighted"},
            {"scorer.objective": "pairwise", "infer.vote": "best"},
        ],
        "generators": [{"infer.others": [{"generator": "models/tiny/generator"}], "voters": 6}, {"voters": 6}],
        "shuffling": [{"infer.shuffle_options": on} for on in (False, True)],
        "adaptive stopping": [
            {"infer.adaptive": False},
            {"infer.adaptive": True},
            {"infer.adaptive": True, "infer.programs": 0},
            {"infer.adaptive": True, "infer.programs": 0, "voters": 9},
        ],
    },
    "data": {
        "new puzzles": [{"prepare.synthetic": n} for n in (0, 300, 1000, 3800)],
        "rules of programs": [{"prepare.library": on} for on in (False, True)],
        "rewriting": [{"translate.backend": "none"}, {"finetune.copies": True}, {"finetune.copies": False}],
        "right reasonings": [
            {"reason_true.choose": "likeliest"},
            {"reason_true.only_uncertain": True},
            {"reason_true.only_wrong": True},
            {"reason_true.adapter": EARLIER},
        ],
        "lessons": [{"finetune.target": target} for target in ("reasoning", "answer")],
        "pseudo-labels": [{"finetune.pseudo": PSEUDO}],
        "preference": [{"prefer.method": method} for method in ("none", "dpo", "grpo")],
        "adapters": [{"finetune.adapters": 3, "finetune.share": share, "voters": 6} for share in (0.8, 1.0)],
        "wrong reasonings": [{"reason_false.negatives": kind} for kind in ("hinted", "sampled")],
        "scorer's input": [{"scorer.input": part} for part in ("reasoning", "full")],
        "retrieval": [{"rag.k": k} for k in (0, 1)],
    },
}
MADE = re.compile(r"models/adapter_\w+|data/pseudo_\w+\.pkl")
VOTED = ("data/samples.jsonl", "data/vote_weights.json", "data/dev.jsonl", "data/votes.jsonl")  # for pseudo-labels
FINISHED = re.compile(r"Ran experiment\(s\): (\S+)")
REPORT = Path("reports/ablation.md")
WEIGHT = Path("data/vote_weights.json")
HEADS = ("reasonings alone", "difference", "with programs", "difference")


@dataclass(frozen=True)
class Result:
    """The answers of an experiment to Q dev questions, and the mean cost of a question, programs included.

    `answers` are by the vote of the reasonings alone, None where programs decided how many were drawn; `whole` are by
    that of reasonings and programs. `auc` is that of the
    scorer on the samples that every question has, `auc_within` that within one question. They are None if all these
    samples are right or all are wrong.
    """

    factor: str
    change: Change
    questions: DevQuestions
    answers: list[str] | None
    whole: list[str]
    samples: float
    tokens: float
    auc: float | None
    auc_within: float | None

    @property
    def right(self) -> Floats | None:
        """(Q,) whether the reasonings' answer is right."""
        return None if self.answers is None else self._right(self.answers)

    @property
    def whole_right(self) -> Floats:
        """(Q,) whether the answer of reasonings and programs is right."""
        return self._right(self.whole)

    def _right(self, answers: Sequence[str]) -> Floats:
        truth = [letter_of(code) for code in self.questions.truth]
        return np.array([float(a == t) for a, t in zip(answers, truth, strict=True)])


def value_of(raw: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key: ``value_of({"rag": {"k": 1}}, "rag.k")`` is 1."""
    found: Any = raw
    for part in key.split("."):
        found = found[part]
    return found


def changed(raw: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """A copy of `raw` with the values of `change`.

    >>> changed({"voters": 5, "rag": {"k": 1}}, {"rag.k": 0})
    {'voters': 5, 'rag': {'k': 0}}
    """
    copy: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in raw.items()}
    for key, value in change.items():
        *sections, name = key.split(".")
        here = copy
        for section in sections:
            here = here[section]
        here[name] = value
    return copy


def experiments(raw: Mapping[str, Any], parts: Sequence[str]) -> list[tuple[str, Change]]:
    """Factor and change of every experiment: each setting of the `parts` that differs from the params `raw`.

    >>> experiments({"seed": 42, "voters": 5}, ["votes"])
    [('votes', {'voters': 1}), ('votes', {'voters': 3}), ('votes', {'voters': 9})]
    >>> experiments({"seed": 42, "finetune": {"pseudo": None}}, ["pseudo-labels"])
    [('pseudo-labels', {'finetune.pseudo': 'data/pseudo_42.pkl'})]
    """
    seed = raw["seed"]
    return [
        (factor, {key: v.format(seed=seed) if isinstance(v, str) else v for key, v in change.items()})
        for part, factors in PARTS.items()
        for factor, settings in factors.items()
        if part in parts or factor in parts
        for change in settings
        if any(value_of(raw, key) != value for key, value in change.items())
    ]


def shown(change: Change) -> str:
    """A change as ``dvc exp run`` takes it, or "params.yaml" if there is none."""
    return " ".join(f"{key}={_text(value)}" for key, value in change.items()) or "params.yaml"


def _text(value: Any) -> str:
    """
    >>> _text([{"generator": "models/tiny/generator"}]), _text(False)
    ('[{generator:models/tiny/generator}]', 'false')
    """
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_text(own)}' for key, own in value.items())}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def run(change: Change) -> str:
    """Run an experiment; returns its name. Raises AugenError with the end of DVC's output if it fails."""
    arguments = ["exp", "run", "--temp", "evaluate"]
    for key, value in change.items():
        arguments += ["-S", f"{key}={_text(value)}"]
        if MADE.fullmatch(str(value)):
            arguments += ["--copy-paths", value]
    command = [sys.executable, "-c", "from tools.dvc_utf8 import dvc; dvc()", *arguments]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = FINISHED.search(done.stdout)
    if done.returncode or not found:
        raise AugenError(f"dvc {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return found[1]


def make_from(experiment: str, path: str) -> str:
    """Make what `MADE` matches of an `experiment`: a copy of its adapter, or pseudo-labels. Returns where it is."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        if Path(path).parent.name == "models":
            made = fetch(experiment, "models/adapter", folder)
        else:
            for needed in ("params.yaml", *VOTED):
                fetch(experiment, needed, (folder / needed).parent)
            shutil.copytree("data/raw", folder / "data/raw")
            with contextlib.chdir(folder):
                pseudo_labels.main([path])
            made = folder / path
        out = Path(path).with_stem(f"{Path(path).stem}_{_digest(made)[:8]}")
        if not out.exists():
            made.replace(out)
    return str(out)


def _digest(path: Path) -> str:
    """Of the content of a file, or of all files in a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()


def fetch(experiment: str, path: str, folder: Path) -> Path:
    """The file or folder `path` of `experiment`, fetched into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / Path(path).name
    command = [sys.executable, "-m", "dvc", "get", ".", path, "--rev", experiment, "--out", str(out), "--force"]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise AugenError(f"{' '.join(command[2:])} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return out


def result_of(raw: Mapping[str, Any], factor: str, change: Change, dev: Path, samples: Path) -> Result:
    """The result of an experiment, from votes on its samples; beside them lies the weight of its programs."""
    p = check(changed(raw, change), f"params.yaml with {shown(change)}")
    questions = dev_questions(read_jsonl(dev, answers="required"))
    source = SampleFile(samples, "infer", VotingSettings.of(p))
    found = read_samples(source, ("dev", "test"))
    whole = weighed(source, samples.with_name(WEIGHT.name))

    def answers_of(samples: Samples, settings: VotingSettings) -> list[str]:
        voted = SampleGrid.of(matched(samples, questions, source), settings).voted(settings)
        return [letter_of(code) for code in handed_in(voted, questions.options, p.infer.fallback)]

    every = matched(found["dev"], questions, source)
    answers = quality = within = None
    if not (p.infer.programs and p.infer.adaptive):
        steps = matched(reasonings(found, source)["dev"], questions, source)
        answers = answers_of(steps, replace(whole, programs=0))
        scores, right = steps.judged.rows["score"], steps.judged.right(questions.truth)
        quality = scorer_quality(scores, right)
        within = auc_within(scores, right, steps.judged.rows["question"].tolist())
    return Result(
        factor,
        change,
        questions,
        answers,
        answers_of(found["dev"], whole),
        every.per_question,
        every.tokens_per_question,
        quality.auc if quality else None,
        within[0] if within else None,
    )


def page(results: Sequence[Result]) -> str:
    """The text of reports/ablation.md: the default first, then every experiment."""
    default = results[0]
    clusters = default.questions.clusters
    rows = []
    for result in results:
        if result.questions.ids != default.questions.ids:
            raise AugenError(f"{shown(result.change)}: has other dev questions than params.yaml: nothing to compare")
        cells = []
        for right, before in ((result.right, default.right), (result.whole_right, default.whole_right)):
            if right is None or before is None:
                cells += ["", ""]
                continue
            apart = "" if result is default else with_error(paired_difference(right, before, clusters), "+")
            cells += [with_error(cluster_mean(right, clusters)), apart]
        cost = f"{result.samples:.2f}", f"{result.tokens:.0f}"
        aucs = ["" if auc is None else f"{auc:.3f}" for auc in (result.auc, result.auc_within)]
        rows.append((result.factor, f"`{shown(result.change)}`", *cells, *cost, *aucs))
    headers = ("part", "change", *HEADS, "samples", "tokens", "AUC", "AUC within")
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    letters = sorted({*"ABCD", *(a for result in results for a in result.whole)})
    gold = [letter_of(code) for code in default.questions.truth]
    given = [("", "right answers", *_shares(gold, letters))]
    given += [(r.factor, f"`{shown(r.change)}`", *_shares(r.whole, letters)) for r in results]
    return f"""# What each part is worth

One change to params.yaml at a time, on {len(default.whole)} dev questions of {clusters.max() + 1} problems.

{table}

± is one standard error, clustered by problem; that of a difference to the first row is paired by question. Samples and
tokens are those of a question, programs included. AUC is how often the scorer puts a right sample above a wrong one, of
any question and within one. With programs, adaptive stopping draws reasonings only where these do not settle a
question, so there are none to measure alone.

## Which letters are answered

{tabulate(given, ("part", "change", *letters), tablefmt="github", disable_numparse=True)}
"""


def _shares(answers: Sequence[str], letters: Sequence[str]) -> list[str]:
    counts = Counter(answers)
    return [f"{counts[letter] / len(answers):.3f}" for letter in letters]


def known(parts: Sequence[str]) -> None:
    """Raises AugenError for what is neither a part nor a factor."""
    names = [*PARTS, *(factor for factors in PARTS.values() for factor in factors)]
    if unknown := [part for part in parts if part not in names]:
        raise AugenError(f"ablation: PART={unknown[0]} is none of {', '.join(names)}")


def read_params() -> dict[str, Any]:
    """params.yaml as it stands, checked."""
    raw: dict[str, Any] = YAML(typ="safe").load(Path("params.yaml").read_text(encoding="utf-8"))
    check(raw, "params.yaml")
    return raw


def results(params: Mapping[str, Any], base: Change, parts: Sequence[str]) -> list[Result]:
    """The result of `params` with the changes of `base`, and those of every experiment beside it."""
    raw = changed(params, base)
    grid: list[tuple[str, Change]] = [("", {}), *experiments(raw, parts)]
    found, plain = list[Result](), ""
    with tempfile.TemporaryDirectory() as folder:
        for number, (factor, change) in enumerate(grid, start=1):
            print(f"{number} of {len(grid)}: {factor} {shown({**base, **change})}", flush=True)
            change = {key: make_from(plain, v) if MADE.fullmatch(str(v)) else v for key, v in change.items()}
            name = run({**base, **change})
            plain = plain or name
            files = ["data/dev.jsonl", "data/samples.jsonl", str(WEIGHT)]
            dev, samples, *_ = (fetch(name, path, Path(folder)) for path in files)
            found.append(result_of(raw, factor, change, dev, samples))
    return found


def main(parts: Sequence[str]) -> None:
    known(parts)
    write(REPORT, page(results(read_params(), {}, parts or list(PARTS))))


def write(report: Path, text: str) -> None:
    """Write `text` to the file `report`, and print both."""
    report.parent.mkdir(exist_ok=True)
    report.write_text(text, encoding="utf-8")
    print(f"\n{text}\n{report}")


def listed(parts: str) -> list[str]:
    """
    >>> listed("votes, new puzzles"), listed("")
    (['votes', 'new puzzles'], [])
    """
    return [part.strip() for part in parts.split(",") if part.strip()]


def _parts() -> list[str]:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", default="", help=f"{', '.join(PARTS)} or factors of these; without one, all")
    return listed(parser.parse_args().part)


if __name__ == "__main__":
    try:
        main(_parts())
    except AugenError as error:
        sys.exit(f"ablation: {error}")
