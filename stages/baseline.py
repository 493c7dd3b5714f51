"""Sample the plain generator on the dev questions, without adapter and examples: what every gain is measured against.

in   data/dev.jsonl
out  data/baseline.jsonl    like samples.jsonl, `baseline.samples` slots a question
"""

from augen.answering.rounds import Rounds, Sampling, questions_of, run_rounds, samples_jsonl, unscored
from augen.core.files import write_lines
from augen.core.params import load
from augen.core.run import run
from augen.entries import read_jsonl
from augen.generation.open import Generator, open_sampler


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "baseline")
    questions = questions_of(read_jsonl("data/dev.jsonl", answers="required"), "dev")
    print(f"{len(questions):,} dev questions, {p.baseline.samples} samples of the plain generator for each", flush=True)
    generator = Generator(p.model, p.engine, p.prompt)
    sampling = Sampling(
        instruction=p.prompt.solve,
        window=generator.window("local"),
        seed=p.seed,
        temperature=p.baseline.temperature,
        top_p=1.0,
        max_tokens=p.baseline.max_tokens,
        adapter=False,
    )
    once = Rounds(p.baseline.samples, max_resample=0, threshold=0.0, resample="slot", adaptive=False)
    with open_sampler("baseline", "local", generator) as sampler:
        history = run_rounds(questions, sampling, once, sampler, unscored)
    write_lines("data/baseline.jsonl", samples_jsonl(history))
    right = sum(d.answer == q.item.answer for q, drawn in zip(questions, history, strict=True) for d in drawn)
    print(f"plain generator: {right / sum(map(len, history)):.3f} of its samples are right; data/baseline.jsonl")


if __name__ == "__main__":
    run(main)
