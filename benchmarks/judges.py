"""Measures how well right reasonings are told from wrong ones, and how well they could be: make bench PART=judges

The tuned generator answers new puzzles, as often as there are votes. Each text is labelled twice: by its letter,
which is all that labelled data provide, and by its steps. Steps are right if they are exactly the solver's, because
the tiny models have learned no other way to write. Three judges score every text:

scorer       models/scorer, as trained by `dvc repro`
likelihood   the mean log-probability of the text's tokens, from the generator that wrote it
steps        knows the solver's steps: 1 if the text has them, else 0. No judge of reasonings can do better

Prints for each judge the AUC under both labels, over all texts and within questions, and the accuracy of a vote
weighted by it, all ± one standard error clustered by problem (for AUCs by bootstrap). Needs models/adapter and
models/scorer. Takes minutes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from tabulate import tabulate
from transformers import AutoModelForCausalLM, AutoTokenizer

from augen.answers import parse_answer
from augen.core.arrays import Bools, Floats
from augen.core.params import load
from augen.entries import Question, Solution, questions
from augen.generation.base import EngineSettings, Request
from augen.generation.engines import open_engine
from augen.metrics.quality import auc_within, scorer_quality
from augen.metrics.stats import Estimate, cluster_mean
from augen.prompts.sections import completion, solve_prompt
from augen.puzzles.dataset import puzzle_entries
from augen.scorer.score import Scorer
from augen.voting.samples import CODES
from augen.voting.vote import weights_of, winners

PUZZLES, SEED = 600, "judges"
RESAMPLED = 200  # bootstrap samples for the standard error of an AUC
BATCH = 16  # texts at once


@dataclass(frozen=True)
class Written:
    """A text of the generator for a question: its letter, and whether letter and steps are right."""

    asked: Question
    text: str
    answer: str | None

    @property
    def right(self) -> bool:
        return self.answer == self.asked.item.answer

    @property
    def right_steps(self) -> bool:
        return self.text.strip() == str(self.asked.item.reasoning).strip()

    @property
    def problem(self) -> str:
        return self.asked.id.split("#")[0]


def written(every: Sequence[Question], p: Any) -> list[Written]:
    """`p.voters` texts of each question."""
    settings = EngineSettings(p.model.generator, dtype=p.model.dtype, adapters=(Path("models/adapter"),))
    engine = open_engine("auto", settings)
    wanted = [asked for asked in every for _ in range(p.voters)]
    requests = [
        Request(
            prompt=solve_prompt(p.prompt.solve, asked.problem, asked.item),
            seed=seed,
            temperature=p.infer.temperature,
            top_p=p.infer.top_p,
            max_tokens=p.infer.max_tokens,
            adapter=1,
        )
        for seed, asked in enumerate(wanted)
    ]
    try:
        done = dict(engine.generate(requests))
    finally:
        engine.close()
    texts = [done[index].text for index in range(len(wanted))]
    return [Written(a, t, parse_answer(t, len(a.item.options))) for a, t in zip(wanted, texts, strict=True)]


def likelihoods(texts: Sequence[Written], p: Any) -> Floats:
    """(N,) the mean log-probability of the tokens of each text, including the end token."""
    tokenizer = AutoTokenizer.from_pretrained(p.model.generator)
    plain: Any = AutoModelForCausalLM.from_pretrained(p.model.generator, dtype=torch.float32)
    model: Any = PeftModel.from_pretrained(plain, "models/adapter").merge_and_unload().eval()

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    rows = [
        (
            ids(solve_prompt(p.prompt.solve, w.asked.problem, w.asked.item)),
            ids(completion(w.text, tokenizer.eos_token)),
        )
        for w in texts
    ]
    found = np.zeros(len(rows))
    by_length = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + len(rows[i][1]))
    for start in range(0, len(by_length), BATCH):
        batch = by_length[start : start + BATCH]
        padded = tokenizer.pad(
            {"input_ids": [rows[i][0] + rows[i][1] for i in batch]}, padding_side="right", return_tensors="pt"
        )
        with torch.inference_mode():
            tokens = model(**padded).logits[:, :-1].log_softmax(-1)  # (B, T-1, vocabulary)
        of_next = tokens.gather(2, padded["input_ids"][:, 1:, None])[:, :, 0]
        for row, index in enumerate(batch):
            prompt, text = rows[index]
            found[index] = float(of_next[row, len(prompt) - 1 : len(prompt) + len(text) - 1].mean())
    return found


def auc(scores: Floats, right: Bools, texts: Sequence[Written]) -> Estimate:
    """AUC over all texts; its error is the standard deviation over bootstrap samples of problems."""
    problems = np.unique([w.problem for w in texts], return_inverse=True)[1]
    members = [np.flatnonzero(problems == n) for n in range(problems.max() + 1)]

    def of(chosen: Any) -> float:
        quality = scorer_quality(scores[chosen], right[chosen])
        return quality.auc if quality else float("nan")

    rng = np.random.default_rng(0)
    drawn = [rng.integers(len(members), size=len(members)) for _ in range(RESAMPLED)]
    error = np.nanstd([of(np.concatenate([members[n] for n in numbers])) for numbers in drawn])
    return Estimate(of(np.arange(len(texts))), float(error))


def within(scores: Floats, right: Bools, texts: Sequence[Written]) -> Estimate:
    """The mean AUC over the questions that have right and wrong texts."""
    found = [
        (texts[group[0]].problem, one[0])
        for group in by_question(texts)
        if (one := auc_within(scores[group], right[group], [0] * len(group)))
    ]
    names, values = zip(*found, strict=True)
    return cluster_mean(np.array(values), np.unique(names, return_inverse=True)[1])


def voted(weights: Floats, texts: Sequence[Written]) -> Estimate:
    """The accuracy of a vote weighted by `weights` (0…1)."""
    groups = by_question(texts)
    answers = np.array([CODES[w.answer] for w in texts])
    votes = [winners(answers[None, group], weights_of(weights[None, group]), "weighted")[0] for group in groups]
    right = [vote == CODES[texts[group[0]].asked.item.answer] for vote, group in zip(votes, groups, strict=True)]
    problems = np.unique([texts[group[0]].problem for group in groups], return_inverse=True)[1]
    return cluster_mean(np.array(right, float), problems)


def by_question(texts: Sequence[Written]) -> list[list[int]]:
    """The indices of the texts of each question."""
    found: dict[str, list[int]] = {}
    for index, w in enumerate(texts):
        found.setdefault(w.asked.id, []).append(index)
    return list(found.values())


def shown(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ± {estimate.se:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.judges", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--puzzles", type=int, default=PUZZLES, help="how many (default: %(default)s)")
    puzzles = parser.parse_args().puzzles
    for needed, stage in (
        ("models/adapter/adapter_config.json", "finetune"),
        ("models/scorer/scorer.json", "train_scorer"),
    ):
        if not Path(needed).exists():
            parser.error(f"there is no {Path(needed).parent}: dvc repro {stage}")
    p = load("voters", "model", "prompt", "infer")
    texts = written(questions(puzzle_entries(puzzles, SEED, SEED), "dev"), p)
    right, right_steps = (np.array([getattr(w, name) for w in texts]) for name in ("right", "right_steps"))
    print(
        f"{len(texts):,} texts: {right.mean():.1%} have the right letter, {right_steps.mean():.1%} by right steps; "
        f"vote of {p.voters}, unweighed: {shown(voted(np.ones(len(texts)), texts))}"
    )
    scorer = Scorer(Path("models/scorer"))
    likely = likelihoods(texts, p)
    judges: dict[str, Floats] = {
        "scorer": np.array(scorer.scores([Solution(w.asked.problem, w.asked.item, w.text) for w in texts])),
        "likelihood": np.exp(likely),
        "steps": right_steps.astype(float),
    }
    rows = [
        (
            name,
            *(shown(measure(scores, label, texts)) for label in (right, right_steps) for measure in (auc, within)),
            shown(voted(scores, texts)),
        )
        for name, scores in judges.items()
    ]
    headers = ("judge", "AUC by letter", "within questions", "AUC by steps", "within questions", "vote")
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
