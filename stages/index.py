"""Embed the solved questions that may serve as worked examples.

Only the original problems: a rewritten copy would bring the same puzzle twice.

    in   data/filtered/entries.pkl
    out  models/index/embeddings.npy, models/index/rows.jsonl
"""

from pathlib import Path

from augen.core.params import load
from augen.core.run import run
from augen.entries import QuestionItem
from augen.entries.pickles import load_pickle
from augen.prompts.sections import query_text
from augen.retrieval.index import Embedder, rows_of, write_index


def main() -> None:
    p = load("rag")
    rows = rows_of(load_pickle("data/filtered/entries.pkl"))
    texts = [query_text(row.problem, QuestionItem(row.question, row.options)) for row in rows]
    print(f"{len(texts):,} solved questions to embed with {p.rag.embedder}", flush=True)
    vectors = Embedder(p.rag.embedder).embed(texts)
    write_index(Path("models/index"), rows, vectors)
    print(f"models/index: {vectors.shape[0]:,} questions, {vectors.shape[1]} dimensions")


if __name__ == "__main__":
    run(main)
