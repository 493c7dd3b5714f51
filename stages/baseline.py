"""Sample the plain generator on the dev questions, without adapter and examples: what every gain is measured against.

in   data/dev.jsonl
out  data/baseline.jsonl    like samples.jsonl, `baseline.samples` slots a question
"""

import numpy as np

from augen.answering.questions import Prompting
from augen.answering.rounds import Rounds, unscored
from augen.core.files import write_lines
from augen.core.params import load
from augen.core.run import run
from augen.entries.ondisk import EntryFile, Questions
from augen.generation.open import Generator, open_sampler
from augen.voting.samples import sample_lines
from augen.voting.settings import VotingSettings


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "baseline")
    asked = Questions(dev=EntryFile("data/dev.jsonl", answers="required"))
    print(f"{len(asked):,} dev questions, {p.baseline.samples} samples of the plain generator for each", flush=True)
    generator = Generator(p.model, p.engine, p.prompt)
    prompting = Prompting(
        instruction=p.prompt.solve,
        window=generator.window("local"),
        seed=p.seed,
        temperature=p.baseline.temperature,
        top_p=1.0,
        max_tokens=p.baseline.max_tokens,
        adapters=0,
    )
    settings = VotingSettings(p.baseline.samples)
    with open_sampler("baseline", "local", generator) as sampler:
        found = Rounds(asked, [()] * len(asked), prompting, settings).run(sampler, unscored)
    write_lines("data/baseline.jsonl", sample_lines(found.every_sample, settings.threshold))
    letters = (ord(question.item.answer or "") - ord("A") for question in asked)
    right = found.grid.answers == np.fromiter(letters, np.int8)[:, None, None]
    print(f"plain generator: {right.sum() / found.count:.3f} of its samples are right; data/baseline.jsonl")


if __name__ == "__main__":
    run(main)
