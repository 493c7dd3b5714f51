"""Measures the search for near-duplicates of held-out questions: make bench PART=filtering

The questions come from generated problems and vary in words and numbers. They are compared with 2,000 held-out
questions. Some are copies with small changes, which must be found. Prints the seconds of one core and what was found,
and an estimate of the time for comparing every pair.
"""

import random
import time

from augen.core.run import no_arguments
from augen.filtering.causes import question_text
from augen.filtering.near_duplicates import NearDuplicates, jaccard, ngrams
from augen.puzzles.dataset import puzzle_entries

COUNT, HELD_OUT, PLANTED = 100_000, 2_000, 500
NGRAM, THRESHOLD = 5, 0.9


def main() -> None:
    rng = random.Random(1)
    bases = [
        question_text(entry.problem, item) for entry in puzzle_entries(400, "bench", "p") for item in entry.questions
    ]
    held_out = {f"dev#{i}": varied(rng.choice(bases), rng) for i in range(HELD_OUT)}
    texts = [varied(rng.choice(bases), rng) for _ in range(COUNT - PLANTED)]
    planted = [f"{rng.choice(list(held_out.values()))}。" for _ in range(PLANTED)]

    started = time.process_time()
    index = NearDuplicates(list(held_out.items()), ngram=NGRAM, threshold=THRESHOLD)
    found = sum(index.match(text) is not None for text in texts)
    again = sum(index.match(text) is not None for text in planted)
    seconds = time.process_time() - started

    sample = [ngrams(text, NGRAM) for text in texts[:20]]
    known = [ngrams(text, NGRAM) for text in held_out.values()]
    started = time.process_time()
    for grams in sample:
        max(jaccard(grams, other) for other in known)
    every_pair = (time.process_time() - started) * COUNT / len(sample)
    print(f"{COUNT:,} questions against {HELD_OUT:,}: {seconds:.1f} s of one core, every pair {every_pair:,.0f} s")
    print(f"  {again} of {PLANTED} copies with a small change were found, and {found:,} others are as similar")


def varied(text: str, rng: random.Random) -> str:
    """`text` with other single digits and stems."""
    stems, digits = list("甲乙丙丁戊己庚辛"), list("0123456789")
    rng.shuffle(stems)
    rng.shuffle(digits)
    return text.translate(str.maketrans("甲乙丙丁戊己庚辛0123456789", "".join(stems + digits)))


if __name__ == "__main__":
    no_arguments(main)
    main()
