"""Makes any number of cheap questions for measuring bookkeeping. There is no solver: their answers mean nothing.

Like real questions they follow a few templates with names and numbers from a limited stock, so that the texts share
most of their n-grams. A near-duplicate search that only works on random texts would show that here.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from augen.entries import Entry, QuestionItem

FAMILY, GIVEN = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"
PLACES = ["东城", "西城", "南桥", "北门", "河口", "山前", "湖畔", "新村"]
TEMPLATES = [
    "{0}、{1}、{2}和{3}比身高：{0}比{1}高，{1}比{2}高，{2}比{3}高。他们在{4}量了身高，差别依次是{5}、{6}和{7}毫米。",
    "路网里有这些路：{0}家到{1}家{5}米，{1}家到{2}家{6}米，{2}家到{3}家{7}米，{4}只与{0}家相通。路都是双向的。",
    "{4}的商店里，{0}买了{5}克苹果，{1}买了{6}克梨，{2}什么也没买，{3}买的是{0}和{1}加起来再添{7}克。",
    "如果{0}喜欢编号{5}的书，那么{1}喜欢编号{6}的书；{2}与{3}只喜欢{1}喜欢的。已知{0}在{4}借了{5}号，{3}借了{7}号。",
]
PER_PROBLEM = 2


def entries(questions: int, seed: int, prefix: str = "s") -> Iterator[Entry]:
    """Problems with two questions each, `questions` in all; every reasoning ends in the answer."""
    rng = Random(f"synthetic {seed}")
    for number in range(questions // PER_PROBLEM):
        names = [rng.choice(FAMILY) + rng.choice(GIVEN) + rng.choice(GIVEN) for _ in range(4)]
        figures = [rng.randrange(1, 1000) for _ in range(3)]
        problem = rng.choice(TEMPLATES).format(*names, rng.choice(PLACES), *figures)
        items = []
        for which in range(PER_PROBLEM):
            answer = rng.choice("ABCD")
            reasoning = f"从{names[0]}开始，看{names[1]}：{figures[which]}在前。所以是{names['ABCD'.index(answer)]}。"
            question = f"选择题 {which + 1}：按照上面的说法，排在第{figures[which]}位之后的是谁？"
            items.append(QuestionItem(question, names, f"{reasoning}\n答案是：{answer}", answer, "synthetic"))
        yield Entry(problem, items, f"{prefix}_{number:07d}")


def write_samples(path: Path, asked: Iterator[Entry], split: str, samples: int) -> None:
    """`samples` samples of round 0 per question, in the format of the stages; three of four are right."""
    with path.open("a", encoding="utf-8") as file:
        for entry in asked:
            for index, item in enumerate(entry.questions):
                question = f"{entry.id}#{index + 1}"
                for slot in range(1, samples + 1):
                    chance = hashlib.sha256(f"{question} {slot}".encode()).digest()
                    answer = item.answer if chance[0] < 192 else "ABCD"[chance[1] % 4]
                    row = {
                        "split": split,
                        "question": question,
                        "slot": slot,
                        "round": 0,
                        "seed": chance[2],
                        "text": (item.reasoning or "")[:-1] + (answer or ""),
                        "answer": answer,
                        "score": round(0.3 + chance[3] / 400, 4),
                        "accepted": True,
                        "tokens": 60,
                        "finish": "stop",
                        "logprob_rank": chance[4] * 100 // 255,
                    }
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
