"""Have the generator argue for wrong answers (hinted), or collect its own mistakes (sampled).

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries_false.pkl, data/reasoned/entries_aug_false.pkl
"""

from augen.chat import Window
from augen.entries import dump_pickle, load_pickle
from augen.local import local_sampler
from augen.params import load
from augen.reasoning import Writer, explain_wrong
from augen.stage import run


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "reason_false")
    writer = Writer(
        solve=p.prompt.solve,
        explain=p.prompt.explain,
        window=Window(p.model, p.prompt.chat_template, p.engine.max_model_len),
        author=p.model.generator,
        seed=p.seed,
        attempts=p.reason_false.attempts,
        temperature=p.reason_false.temperature,
        max_tokens=p.reason_false.max_tokens,
    )
    with local_sampler(p.model, p.engine) as sampler:
        for name in ("entries_raw", "entries_aug"):
            entries = load_pickle(f"data/{name}.pkl")
            reasoned = explain_wrong(entries, writer, sampler, p.reason_false.negatives)
            dump_pickle(f"data/reasoned/{name.removesuffix('_raw')}_false.pkl", reasoned)


if __name__ == "__main__":
    run(main)
