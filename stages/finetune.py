"""Rejection fine-tuning: train a LoRA adapter of the generator on right reasonings and programs.

in   data/filtered/entries.pkl, data/filtered/entries_aug.pkl if finetune.copies says so, finetune.pseudo if it names a
     file, models/index
out  models/adapter/               peft LoRA; with finetune.adapters above 1 in folders 0, 1, …
     reports/finetune.json         held-out loss, token accuracy and lessons written to the letter, before and after
     reports/plots/finetune.csv    the same over steps, which go on from one adapter to the next
     reports/plots/finetune_families.csv    lessons written to the letter over steps, by family and kind
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from augen.adapter.exact import families_csv
from augen.adapter.lessons import copies_behind_their_origins, lessons
from augen.adapter.train import CURVES, courses, finetune, one_after_another, save_adapters
from augen.core.files import write_json, write_text
from augen.core.params import load
from augen.core.run import run
from augen.entries.pickles import stream_pickle
from augen.prompts.window import Window
from augen.retrieval.examples import Retriever
from augen.retrieval.index import Embedder, read_index
from augen.training.checkpoints import training_key, workplace
from augen.training.launch import is_first, launch
from augen.training.trainer import History, curve_csv


def write_curves(histories: Sequence[History]) -> None:
    history = one_after_another(histories)
    write_text("reports/plots/finetune.csv", curve_csv(history, CURVES))
    write_text("reports/plots/finetune_families.csv", families_csv(history))


def main() -> None:
    p = load("seed", "model", "prompt", "rag", "finetune")
    launch(p.finetune.launch)
    retriever = Retriever(*read_index(Path("models/index")), Embedder(p.rag.embedder, p.rag.query_prompt))
    window = Window(p.model, p.prompt.chat_template, p.finetune.max_length, p.prompt.template_args)
    pseudo = [p.finetune.pseudo] if p.finetune.pseudo else []  # first, so that finetune.reasonings keeps them
    copies = ["data/filtered/entries_aug.pkl"] if p.finetune.copies else []
    files = [*pseudo, "data/filtered/entries.pkl", *copies]
    entries = (entry for file in files for entry in stream_pickle(file))
    ordered = copies_behind_their_origins(entries) if copies else entries
    taught = lessons(ordered, retriever, p.rag.k, p.prompt, window, p.finetune)
    key = training_key(p.finetune, p.model.generator, p.model.revision, [p.seed, taught.digest()])
    trained, histories, metrics = list[Path](), list[History](), list[dict[str, Any]]()
    with workplace("finetune", key) as scratch:
        for number, course in enumerate(courses(taught, p.finetune, p.seed)):
            folder = scratch / str(number) if p.finetune.adapters > 1 else scratch
            adapter = finetune(course, p.model, p.finetune, folder, lambda log: write_curves([*histories, log]))
            trained.append(adapter.folder)
            histories.append(adapter.history)
            metrics.append(adapter.metrics)
            show(f"models/adapter/{number}" if p.finetune.adapters > 1 else "models/adapter", adapter.metrics)
            del adapter  # and with it its model, before the next one is loaded
        if is_first():
            save_adapters(trained, Path("models/adapter"))
            each = {str(number): own for number, own in enumerate(metrics)}
            write_json("reports/finetune.json", each if len(each) > 1 else metrics[0])
            write_curves(histories)


def show(folder: str, m: dict[str, Any]) -> None:
    """Print what the adapter for `folder` has learned."""
    for kind in ("reasoning", "program"):
        if f"held_out_exact_{kind}" in m:
            before, after = m[f"held_out_exact_{kind}_before"], m[f"held_out_exact_{kind}"]
            print(f"a held-out {kind} is written to the letter: {after:.3f} (plain model {before:.3f})")
    print(f"held-out loss {m['held_out_loss']:.3f} (plain model {m['held_out_loss_before']:.3f}); {folder}", flush=True)
    if m["learned_nothing"]:
        print("the adapter learned nothing: its held-out loss is not below the plain model's")


if __name__ == "__main__":
    run(main)
