"""The worked examples of many questions, each search made once: the store keeps which rows of the index were found.

So a run whose samples are all stored loads no embedder either.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from augen.entries import QuestionItem, origin
from augen.prompts.sections import Example
from augen.retrieval.index import Embedder, Retriever, query_text, read_index
from augen.store.responses import Store, request_key


def stored_examples(
    index: Path, embedder: str, questions: Sequence[tuple[str, QuestionItem, str]], k: int, store: Store
) -> list[list[Example]]:
    """As `Retriever.examples` of the index in the folder `index`, whose rows `embedder` embedded.

    A search is known by the bytes of the index (which another embedder would have written differently), by the name
    of the embedder, by what is searched for and by how many rows. Raises AugenError for an index that is none.
    """
    rows, vectors = read_index(index)
    if k == 0:
        return [[] for _ in questions]
    digest = hashlib.sha256(vectors.tobytes() + (index / "rows.jsonl").read_bytes()).hexdigest()
    keys = [
        request_key(
            {
                "kind": "examples",
                "index": digest,
                "embedder": embedder,
                "k": k,
                "text": query_text(problem, item),
                "own": origin(entry_id),
            }
        )
        for problem, item, entry_id in questions
    ]

    def search(missing: dict[str, tuple[str, QuestionItem, str]]) -> list[dict[str, dict[str, list[int]]]]:
        nearest = Retriever(rows, vectors, Embedder(embedder)).nearest(list(missing.values()), k)
        return [{key: {"rows": numbers} for key, numbers in zip(missing, nearest, strict=True)}]

    found = store.fill(dict(zip(keys, questions, strict=True)), search)
    return [[rows[row].example for row in reversed(found[key]["rows"])] for key in keys]
