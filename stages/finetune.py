"""Fine-tune the generator on right reasonings: a LoRA adapter.

in   data/filtered/entries.pkl, data/filtered/entries_aug.pkl, models/index
out  models/adapter/               peft LoRA
     reports/finetune.json         held-out loss and token accuracy
     reports/plots/finetune.csv    losses over steps
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from augen.chat import Window
from augen.entries import load_pickle
from augen.files import write_json, write_text
from augen.finetuning import finetune, lessons
from augen.params import load
from augen.retrieval import Embedder, Retriever, read_index
from augen.stage import run
from augen.training import curve_csv


def main() -> None:
    p = load("seed", "model", "prompt", "rag", "finetune")
    retriever = Retriever(*read_index(Path("models/index")), Embedder(p.rag.embedder))
    window = Window(p.model, p.prompt.chat_template, p.finetune.max_length)
    entries = [e for name in ("entries", "entries_aug") for e in load_pickle(f"data/filtered/{name}.pkl")]
    taught = lessons(entries, retriever, p.rag.k, p.prompt.solve, window)
    with TemporaryDirectory() as scratch:
        adapter = finetune(taught, p.model, p.finetune, p.seed, Path(scratch))
    adapter.save(Path("models/adapter"))
    write_json("reports/finetune.json", adapter.metrics)
    write_text("reports/plots/finetune.csv", curve_csv(adapter.history, ["loss", "eval_loss"]))
    print(f"held-out loss {adapter.metrics['held_out_loss']:.3f}; models/adapter")


if __name__ == "__main__":
    run(main)
