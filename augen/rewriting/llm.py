"""Rewriting by a chat model: all texts of a problem in one request, so that a word is rewritten alike in all of them.

The texts are sent as a JSON list, and the reply is one too. Where it holds no list of as many texts, the model is
asked again. If no attempt gives such a list, the draft stays as it is, and is dropped as unchanged.
"""

import json
from collections.abc import Iterator, Sequence

from augen.core import params
from augen.core.seeds import seed_of
from augen.generation.base import Request, Sampler
from augen.generation.served.failures import Failure
from augen.rewriting import Draft
from augen.store.texts import storable

PROMPT = """\
下面的 JSON 列表是一道逻辑题的全部文字：先是题目，然后依次是每个问题及其选项。请用不同的说法改写它们，使题意丝毫不变。

要求：
1. 人名、地名、字母、符号和数字原样保留，顺序也不变。
2. 肯定与否定、先后、大小、“所有”“至少”“只有”等逻辑关系不变，不增加也不减少条件。
3. 同一个词在各处改写成同一个词；选项之间仍然互不相同，选项不合并、不换位。
4. 不解题，不解释。

只输出一个 JSON 列表，恰好包含 {count} 个字符串，与原列表逐项对应。

{texts}
"""


NO_LIST = "no list of as many texts"


class LlmRewriter:
    """A `Rewriter` that draws from `sampler`; `failures` lists the drafts that no attempt rewrote."""

    def __init__(self, sampler: Sampler, settings: params.Llm, seed: int) -> None:
        self._sampler, self._settings, self._seed = sampler, settings, seed
        self.failures: list[Failure] = []

    def __call__(self, drafts: Sequence[Draft], /) -> Iterator[Sequence[str]]:
        rewritten: dict[str, list[str]] = {}
        causes: dict[str, str] = {}
        waiting = list(drafts)
        for attempt in range(self._settings.attempts):
            if not waiting:
                break
            requests = [(self._request(draft, attempt), {"attempt": attempt}) for draft in waiting]
            completions = self._sampler.draw(requests, f"rewriting, attempt {attempt + 1} of {self._settings.attempts}")
            for draft, completion in zip(waiting, completions, strict=True):
                causes[draft.id] = f"refused: {completion.refused}" if completion.refused else NO_LIST
                if texts := parse_texts(completion.text, len(draft.texts)):
                    rewritten[draft.id] = texts
            waiting = [draft for draft in waiting if draft.id not in rewritten]
        self.failures += [Failure(d.id, causes[d.id], self._settings.attempts) for d in waiting]
        for draft in drafts:
            yield rewritten.get(draft.id, draft.texts)

    def _request(self, draft: Draft, attempt: int) -> Request:
        texts = json.dumps(draft.texts, ensure_ascii=False, indent=0)
        return Request(
            prompt=PROMPT.format(count=len(draft.texts), texts=texts),
            seed=seed_of(self._seed, "rewriting", draft.id, attempt),
            temperature=self._settings.temperature,
            top_p=1.0,
            max_tokens=self._settings.max_tokens,
        )


def parse_texts(reply: str, count: int) -> list[str] | None:
    """The list of exactly `count` texts that `reply` holds, perhaps in a code block, or None.

    >>> parse_texts('好的：\\n```json\\n["甲", "乙"]\\n```', 2)
    ['甲', '乙']
    """
    start, end = reply.find("["), reply.rfind("]")
    try:
        texts = json.loads(reply[start : end + 1])
    except (ValueError, RecursionError):  # a number of thousands of digits, nested without end
        return None
    if isinstance(texts, list) and len(texts) == count and all(isinstance(text, str) for text in texts):
        return storable(texts)  # an escape within the list may stand for anything
    return None
