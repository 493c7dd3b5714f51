"""Embed the solved questions that may serve as worked examples.

Only the original problems: a rewritten copy would bring the same puzzle twice.

    in   data/filtered/entries.pkl
    out  models/index/embeddings.npy, models/index/rows.jsonl
"""

from itertools import islice
from pathlib import Path

from augen.core.params import load
from augen.core.run import run
from augen.entries import QuestionItem
from augen.entries.pickles import stream_pickle
from augen.prompts.sections import query_text
from augen.retrieval.index import Embedder, rows_of, write_index

SOLVED = "data/filtered/entries.pkl"
BLOCK = 100_000  # texts embedded together


def main() -> None:
    p = load("rag")
    count = sum(1 for _ in rows_of(stream_pickle(SOLVED)))
    print(f"{count:,} solved questions to embed with {p.rag.embedder}", flush=True)
    embedder = Embedder(p.rag.embedder)
    rows = rows_of(stream_pickle(SOLVED))
    texts = (query_text(row.problem, QuestionItem(row.question, row.options)) for row in rows)
    blocks = (embedder.embed(list(islice(texts, BLOCK))) for _ in range(0, max(count, 1), BLOCK))
    write_index(Path("models/index"), rows_of(stream_pickle(SOLVED)), blocks, count)
    print(f"models/index: {count:,} questions")


if __name__ == "__main__":
    run(main)
