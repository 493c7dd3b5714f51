"""Train the scorer, an outcome reward model, on right and wrong reasonings; report how well it tells them apart.

in   data/filtered/*.pkl
out  models/scorer/              weights, tokenizer, scorer.json
     reports/scorer.json         held-out AUC, average precision, accuracy, calibration, by author
     reports/plots/scorer.csv    losses and AUC over steps
"""

from collections.abc import Iterator
from math import log
from pathlib import Path

from augen.core.files import write_json, write_text
from augen.core.params import load
from augen.core.run import run
from augen.entries.pickles import stream_pickle
from augen.entries.reasoned import RIGHT_FILES, WRONG_FILES
from augen.scorer.report import LabelledReasoning, Reasonings, labelled, only_problems_with_wrong
from augen.scorer.train import CURVES, save_scorer, train_scorer
from augen.training.checkpoints import training_key, workplace
from augen.training.launch import is_first, launch
from augen.training.trainer import History, curve_csv


def write_curves(history: History) -> None:
    write_text("reports/plots/scorer.csv", curve_csv(history, CURVES))


def reasonings() -> Iterator[LabelledReasoning]:
    for right, names in ((True, RIGHT_FILES), (False, WRONG_FILES)):
        for name in names:
            yield from labelled(stream_pickle(f"data/filtered/{name}.pkl"), right)


def main() -> None:
    p = load("seed", "model", "scorer")
    launch(p.scorer.launch)
    items = only_problems_with_wrong(Reasonings(LabelledReasoning, reasonings()))
    right = int(items.right.sum())
    print(f"{right:,} right and {len(items) - right:,} wrong reasonings to learn from", flush=True)
    with workplace("train_scorer", training_key(p.scorer, p.scorer.base, None, [p.seed, items.digest()])) as scratch:
        trained = train_scorer(items, p.scorer, p.seed, scratch, p.model.generator, write_curves)
        if is_first():
            save_scorer(trained, p.scorer, Path("models/scorer"))
            write_json("reports/scorer.json", trained.metrics)
            write_curves(trained.history)

    m = trained.metrics
    loss, chance = f"{m['loss']:.3f}", f"{log(2):.3f}"
    print(
        f"held out: loss {loss} (chance {chance}), AUC {m['auc']:.3f} (untrained {m['auc_before']:.3f}); models/scorer"
    )
    if m["learned_nothing"]:
        print("the scorer learned nothing: its loss is that of chance; try more data, epochs or another learning rate")


if __name__ == "__main__":
    run(main)
