"""Have the generator write reasonings that lead to the right answers.

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries.pkl, data/reasoned/entries_aug.pkl
"""

from augen.chat import Window
from augen.entries import dump_pickle, load_pickle
from augen.local import local_sampler
from augen.params import load
from augen.reasoning import Writer, explain_right
from augen.stage import run


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "reason_true")
    writer = Writer(
        solve=p.prompt.solve,
        explain=p.prompt.explain,
        window=Window(p.model, p.prompt.chat_template, p.engine.max_model_len),
        author=p.model.generator,
        seed=p.seed,
        attempts=p.reason_true.attempts,
        temperature=p.reason_true.temperature,
        max_tokens=p.reason_true.max_tokens,
    )
    with local_sampler(p.model, p.engine) as sampler:
        for name in ("entries_raw", "entries_aug"):
            reasoned = explain_right(load_pickle(f"data/{name}.pkl"), writer, sampler, p.reason_true.hinted)
            dump_pickle(f"data/reasoned/{name.removesuffix('_raw')}.pkl", reasoned)


if __name__ == "__main__":
    run(main)
