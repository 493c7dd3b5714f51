"""Worked examples with a tiny static embedder, against brute force."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from augen.core.errors import AugenError
from augen.entries import Entry, Question, QuestionItem, origin, questions
from augen.prompts.sections import Example, query_text
from augen.puzzles.dataset import puzzle_entries
from augen.retrieval.examples import Kind, Retriever
from augen.retrieval.index import Embedder, IndexRow, Vectors, read_index, rows_of, write_index

CHARACTERS = "甲乙丙丁高矮快慢东西南北一二三四五六七八九十比到有路吗谁最"


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """One random vector per character; a text is their mean."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {token: i for i, token in enumerate(["?", *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("embedder")
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)], device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    return Embedder(str(folder))


def test_the_query_prompt_stands_before_what_is_searched_for_alone(embedder: Embedder) -> None:
    asking = Embedder(embedder.name, "查询：")
    assert np.array_equal(asking.embed_queries(["甲乙"]), embedder.embed(["查询：甲乙"]))
    assert np.array_equal(asking.embed(["甲乙"]), embedder.embed(["甲乙"]))
    assert np.array_equal(embedder.embed_queries(["甲乙"]), embedder.embed(["甲乙"]))


def solved(number: int, problem: str, question: str = "谁最高？") -> IndexRow:
    return IndexRow(f"p{number}", problem, question, ["1", "2"], f"想{number}。\n答案是：A", "A")


@pytest.fixture(scope="session")
def rows() -> list[IndexRow]:
    """120 problems of random characters, two questions each."""
    rng = np.random.default_rng(1)
    problems = ["".join(rng.choice(list(CHARACTERS), 12)) for _ in range(120)]
    return [solved(i, problem, question) for i, problem in enumerate(problems) for question in ("谁最高？", "谁最慢？")]


def embedded(rows: Sequence[IndexRow], embedder: Embedder) -> Vectors:
    return embedder.embed([query_text(row.problem, QuestionItem(row.question, row.options)) for row in rows])


@pytest.fixture(scope="session")
def retriever(rows: list[IndexRow], embedder: Embedder) -> Retriever:
    return Retriever(rows, embedded(rows, embedder), embedder)


def ask(problem: str, entry_id: str = "new", question: str = "谁最高？") -> Question:
    return Question(f"{entry_id}#1", entry_id, problem, QuestionItem(question, ["3", "4"]))


def brute_force(query: Question, rows: list[IndexRow], embedder: Embedder, k: int) -> list[Example]:
    """The k rows with the highest cosine, the highest last; equal ones by row number."""
    [vector] = embedder.embed([query_text(query.problem, query.item)])
    similarity = embedded(rows, embedder) @ vector
    allowed = [i for i, row in enumerate(rows) if row.origin != origin(query.problem_id)]
    nearest = sorted(allowed, key=lambda i: (round(1 - float(similarity[i]), 5), i))[:k]
    return [rows[i].example for i in reversed(nearest)]


@pytest.mark.parametrize("k", [1, 2, 7])
def test_the_nearest_are_those_of_brute_force(
    k: int, rows: list[IndexRow], retriever: Retriever, embedder: Embedder
) -> None:
    rng = np.random.default_rng(2)
    queries = [ask("".join(rng.choice(list(CHARACTERS), 10)), question="谁最快？") for _ in range(25)]
    found = retriever.examples(queries, k)
    assert found == [brute_force(query, rows, embedder, k) for query in queries]
    assert all(len(examples) == k for examples in found)


def test_the_most_similar_stands_last(rows: list[IndexRow], retriever: Retriever) -> None:
    [examples] = retriever.examples([ask(rows[10].problem, question=rows[10].question)], 3)
    assert examples[-1] == rows[10].example and len(examples) == 3


def test_examples_are_solved_questions(rows: list[IndexRow], retriever: Retriever) -> None:
    [[(problem, item)]] = retriever.examples([ask(rows[3].problem)], 1)
    assert problem == rows[3].problem
    assert item.reasoning and item.answer == "A" and item.reasoning.endswith("答案是：A")


@pytest.mark.parametrize("copy", ["", "~1", "~12"])
def test_never_an_example_of_the_same_problem(
    copy: str, rows: list[IndexRow], retriever: Retriever, embedder: Embedder
) -> None:
    queries = [ask(row.problem, f"{row.origin}{copy}", row.question) for row in rows[::9]]
    for query, examples in zip(queries, retriever.examples(queries, 4), strict=True):
        assert query.problem not in [problem for problem, _ in examples]
        assert examples == brute_force(query, rows, embedder, 4)


@pytest.mark.parametrize(("every", "k"), [(1, 2), (3, 5), (100, 2), (1000, 2)])
def test_examples_with_a_program_are_the_nearest_that_have_one(
    every: int, k: int, rows: list[IndexRow], embedder: Embedder
) -> None:
    """Most rows have a reasoning alone; of those with a program every second has no reasoning."""
    vectors = embedded(rows, embedder)
    changed = list(rows)
    for number in range(1, len(rows), every):
        changed[number] = replace(rows[number], program="answer(1).", reasoning=None if number % 2 else "想。")
    retriever = Retriever(changed, vectors, embedder)
    queries = [ask(row.problem, row.origin, row.question) for row in rows[::40]]
    for kind in get_args(Kind):
        having = [row for row in changed if getattr(row, kind)]
        found = retriever.examples(queries, k, kind)
        assert found == [brute_force(query, having, embedder, k) for query in queries]
        assert all(getattr(item, kind) for examples in found for _, item in examples)


def test_more_examples_than_rows(embedder: Embedder) -> None:
    few = [solved(0, "甲高。"), solved(1, "乙矮。"), solved(1, "丙快。")]
    retriever = Retriever(few, embedded(few, embedder), embedder)
    strange, own, one = retriever.examples([ask("甲矮。"), ask("甲矮。", "p1"), ask("甲矮。", "p0~1")], 50)
    assert [len(examples) for examples in (strange, own, one)] == [3, 1, 2]
    assert own == [few[0].example]


def test_no_examples(rows: list[IndexRow], retriever: Retriever, embedder: Embedder) -> None:
    assert retriever.examples([ask("甲高。"), ask("乙高。")], 0) == [[], []]
    assert retriever.examples([], 3) == []
    empty = Retriever([], embedded([], embedder), embedder)
    assert empty.examples([ask("甲高。")], 3) == [[]]
    only_own = Retriever([solved(0, "甲高。")], embedded([solved(0, "甲高。")], embedder), embedder)
    assert only_own.examples([ask("甲高。", "p0")], 1) == [[]]


@pytest.mark.parametrize("k", [1, 3, 30])
def test_of_equally_near_rows_the_first_are_taken(k: int, embedder: Embedder) -> None:
    """Not any of them, others in every process."""
    equal = [solved(i, "甲高。") for i in range(30)] + [solved(30, "东南。")]
    vectors = embedded(equal, embedder)
    for _ in range(3):
        examples = Retriever(equal, vectors, embedder).examples([ask("甲高。"), ask("甲高。", "p1")], k)
        others = [row.example for row in equal if row.origin != "p1"]
        assert examples == [[row.example for row in equal[:k]][::-1], others[:k][::-1]]


def test_a_missing_embedder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AugenError, match=r"rag\.embedder: .*nowhere cannot be loaded"):
        Embedder(str(tmp_path / "nowhere"))


def test_two_retrievers_of_one_process_do_not_mix(embedder: Embedder) -> None:
    left, right = [solved(0, "甲高。")], [solved(1, "甲高。"), solved(2, "乙高。")]
    one, two = (Retriever(part, embedded(part, embedder), embedder) for part in (left, right))
    assert one.examples([ask("甲高。")], 5) == [[left[0].example]]
    assert two.examples([ask("甲高。")], 5) == [[right[1].example, right[0].example]]
    assert one.examples([ask("甲高。")], 5) == [[left[0].example]], "after the other was used"


def test_many_questions_at_once_are_answered_as_each_alone(rows: list[IndexRow], retriever: Retriever) -> None:
    queries = [ask(row.problem, question="谁最矮？") for row in rows[:20]]
    assert retriever.examples(queries, 2) == [retriever.examples([query], 2)[0] for query in queries]


# --- from entries to files and back


def test_vectors_have_length_one(embedder: Embedder) -> None:
    vectors = embedder.embed(["甲比乙高", "东西南北"])
    assert vectors.shape == (2, 16) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert len(embedder.embed([])) == 0


def test_two_builds_write_the_same_bytes(embedder: Embedder, tmp_path: Path) -> None:
    for name in ("one", "two"):
        rows = list(rows_of(puzzle_entries(9, "index", "p")))
        write_index(tmp_path / name, rows, [embedded(rows, embedder)], len(rows))
    for file in ("embeddings.npy", "rows.jsonl"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_an_index_read_back_finds_the_same(embedder: Embedder, tmp_path: Path) -> None:
    entries: list[Entry] = puzzle_entries(18, "index", "p")
    rows = list(rows_of(entries))
    write_index(tmp_path, rows, [embedded(rows, embedder)], len(rows))
    queries = questions(entries)
    fresh = Retriever(rows, embedded(rows, embedder), embedder).examples(queries, 2)
    assert Retriever(*read_index(tmp_path), embedder).examples(queries, 2) == fresh
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert len(before) == 2, "a query leaves nothing behind"
