"""Preference training: the adapters learn further, by DPO or GRPO. Off by default; infer then takes them as they are.

in   models/adapter, models/index, data/filtered: right and wrong reasonings (dpo), solved questions (grpo)
out  models/preferred/          as models/adapter; with prefer.method none a note alone
     reports/prefer.json        held out, before and after: share of pairs preferred (dpo) or mean reward (grpo), loss
     reports/plots/prefer.csv   the same over steps, which go on from one adapter to the next
"""

from itertools import chain
from pathlib import Path

from augen.core.files import whole_folder, write_json, write_text
from augen.core.models import UNCHANGED, adapters_in
from augen.core.params import Params, load
from augen.core.run import run
from augen.entries.pickles import stream_pickle
from augen.entries.reasoned import RIGHT_FILES, WRONG_FILES
from augen.preference.material import Pair, Prompts, Task, pairs, tasks
from augen.programs.verdicts import SolveMany, stored_verdicts
from augen.prompts.window import Window
from augen.retrieval.examples import Retriever
from augen.retrieval.index import Embedder, read_index
from augen.store.responses import Store, default_path
from augen.training.checkpoints import workplace
from augen.training.launch import is_first, launch
from augen.training.spilled import Spilled


def main() -> None:
    p = load("seed", "model", "prompt", "programs", "rag", "finetune", "prefer")
    if p.prefer.method == "none":
        with whole_folder("models/preferred") as folder:
            write_text(folder / UNCHANGED, "prefer.method is none: infer takes models/adapter\n")
        write_json("reports/prefer.json", {"method": "none"})
        write_text("reports/plots/prefer.csv", "step,loss,eval_loss,preferred,eval_preferred\n")
        return
    launch(p.finetune.launch)
    with Store(default_path()) as store, stored_verdicts(store, p.programs) as solve:
        train(p, material(p), solve)


def material(p: Params) -> Spilled[Pair] | Spilled[Task]:
    retriever = Retriever(*read_index(Path("models/index")), Embedder(p.rag.embedder, p.rag.query_prompt))
    window = Window(p.model, p.prompt.chat_template, p.finetune.max_length, p.prompt.template_args)
    prompts = Prompts(p.prompt, window, retriever, p.rag.k)
    if p.prefer.method == "grpo":
        return tasks(stream_pickle("data/filtered/entries.pkl"), prompts, p.prefer, p.seed)
    right, wrong = (
        chain.from_iterable(stream_pickle(f"data/filtered/{name}.pkl") for name in names)
        for names in (RIGHT_FILES, WRONG_FILES)
    )
    return pairs(right, wrong, prompts)


def train(p: Params, found: Spilled[Pair] | Spilled[Task], solve: SolveMany) -> None:
    """Train every adapter by itself, from the last checkpoint if there is one."""
    from augen.adapter.train import save_adapters
    from augen.preference.train import Place, Preferred, Start, curves, identity, method
    from augen.training.trainer import History, split_by_problem

    def write_curves(*running: History) -> None:
        write_text("reports/plots/prefer.csv", curves([*(one.history for one in done), *running]))

    adapters = adapters_in(Path("models/adapter"))
    learned, held_out = split_by_problem((one.problem_id for one in found), p.prefer.held_out, p.seed)
    split = found.those(learned), found.those(held_out)
    prefer, done = method(p.prefer, solve), list[Preferred]()
    with workplace("prefer", identity(p, adapters, found)) as scratch:
        for number, adapter in enumerate(adapters):
            done.append(prefer(split, Start.of(p, adapter, number), Place(scratch / str(number), write_curves)))
            print(f"{adapter}: {done[-1].told}", flush=True)
        if is_first():
            save_adapters([one.folder for one in done], Path("models/preferred"))
            metrics = {str(number): one.metrics for number, one in enumerate(done)}
            write_json("reports/prefer.json", metrics if len(done) > 1 else done[0].metrics)
            write_curves()


if __name__ == "__main__":
    run(main)
