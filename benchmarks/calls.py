"""Measures paid calls against the rate limits of their providers: make bench PART=calls

The servers run on this machine with 300 ms latency and enforce limits as the providers do; calls go through the real
SDKs. There are three parts:

1. rewriting: all training problems zh → ja → zh at TMT's 5 requests per second of less than 6,000 characters. Prints
   the share of the allowed characters that was used, and compares with sending one request at a time, each with one
   kind of field of 5 problems;
2. reasoning: 1,421 requests at a limit per minute. Prints the share of the limit that was used;
3. trouble: the same rewriting with 10 % 429, 5 % 500, 2 % cut replies, 1 % wrong counts and 1 % hangs.

Takes about three minutes, mostly waiting. The real problems are used if they are available.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from augen.core.run import no_arguments
from augen.entries import Entry
from augen.entries.jsonl import read_jsonl
from augen.generation.base import Request
from augen.generation.open import open_sampler
from augen.generation.served.errors import SlowDown
from augen.generation.served.tencent import Tencent
from augen.prompts.sections import explain_prompt
from augen.rewriting import Draft, texts_of
from augen.rewriting.guards import is_about_translation
from augen.rewriting.translation import tencent_translator
from demo.base import Settings
from demo.chat import MODELS, QianfanServer
from demo.tencent import TencentServer
from tests.integration.paid import KEYS, ROOT, chat_changes
from tests.params import params
from tests.real import REAL_DATA

LATENCY_S = 0.3
PER_SECOND, PER_REQUEST = 5, 5999
PER_MINUTE = 1200  # instead of Qianfan's 300, so that it takes only a minute
REASONINGS = 1421
TROUBLE = {"429": 0.10, "500": 0.05, "truncated": 0.02, "wrong_count": 0.01, "hang": 0.01}


def main() -> None:
    os.environ.update(KEYS)
    import qianfan  # noqa: F401  # imported before timing: it takes a second or more
    import tencentcloud.common.common_client  # noqa: F401

    source = REAL_DATA if REAL_DATA.is_file() else ROOT / "data/raw/train.jsonl"
    if source != REAL_DATA:
        print(f"{REAL_DATA} is not there: {source} is used instead")
    entries = [entry for entry in read_jsonl(source, answers="optional") if not is_about_translation(entry)]
    drafts = [Draft(f"{entry.id}~1", texts_of(entry)) for entry in entries]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUGEN_CACHE"] = f"{folder}/responses.sqlite"
        os.chdir(folder)
        rewriting(entries, drafts)
        reasoning(entries)
        trouble(drafts)


def rewriting(entries: Sequence[Entry], drafts: Sequence[Draft]) -> None:
    with TencentServer(Settings(latency_s=LATENCY_S, requests_per_second=PER_SECOND)) as server:
        seconds = translated(server, drafts)
        characters, requests = sum(server.sizes), len(server.sizes)
    allowed = PER_SECOND * PER_REQUEST  # characters per second
    rate = characters / seconds
    print(f"rewriting: {len(drafts)} problems, {characters:,} characters in {requests} requests, {seconds:.1f} s")
    print(f"  {rate:,.0f} characters/s are {rate / allowed:.1%} of the {allowed:,} that the limits allow")
    print(f"  requests that were told to slow down: {server.outcomes['too fast']}")

    one_by_one = list(batches(entries))
    shown = one_by_one[: max(1, len(one_by_one) // 15)]
    with TencentServer(Settings(latency_s=LATENCY_S, requests_per_second=PER_SECOND)) as server:
        provider = Tencent(settings(server), 16)
        started = time.monotonic()
        for batch in shown:
            there = send(provider, batch, "zh", "ja")
            send(provider, there, "ja", "zh")
        slow = (time.monotonic() - started) * len(one_by_one) / len(shown)
    print(f"  one request at a time, 5 problems and one kind of field each: {2 * len(one_by_one)} requests,")
    print(f"  {slow:.0f} s (from {2 * len(shown)} of them): {slow / seconds:.1f} times as long")


def batches(entries: Sequence[Entry]) -> Iterator[list[str]]:
    """For every five problems, three lists of texts: the problems, their questions and their options."""
    for start in range(0, len(entries), 5):
        five = entries[start : start + 5]
        items = [item for entry in five for item in entry.questions]
        yield [entry.problem for entry in five]
        yield [item.question for item in items]
        yield [option for item in items for option in item.options]


def send(provider: Tencent, texts: Sequence[str], source: str, target: str) -> list[str]:
    payloads = [{"text": text, "source": source, "target": target} for text in texts]
    while True:
        try:
            return [answer["text"] for answer in provider.send(payloads)]
        except SlowDown:
            time.sleep(0.1)


def reasoning(entries: Sequence[Entry]) -> None:
    prompts = [
        explain_prompt("请解释。", entry.problem, item, item.answer or "A")
        for entry in entries
        for item in entry.questions
    ]
    requests = [
        (Request(prompts[i % len(prompts)], i, 0.3, 1.0, 256), {"attempt": 0, "sample": i}) for i in range(REASONINGS)
    ]
    with QianfanServer(Settings(LATENCY_S, PER_MINUTE / 60, PER_MINUTE)) as server:
        limits = {"requests_per_minute": PER_MINUTE, "tokens_per_minute": None, "timeout_s": 10.0}
        changes = {f"providers.qianfan.{name}": value for name, value in limits.items()}
        p = params(chat_changes("qianfan", server.url) | changes)
        started = time.monotonic()
        with open_sampler("reasoning", "qianfan", providers=p.providers, models=MODELS) as sampler:
            completions = sampler.draw(requests, "reasoning")
        seconds = time.monotonic() - started
    rate = len(completions) / seconds * 60
    print(f"reasoning: {len(completions):,} in {seconds:.1f} s")
    print(f"  {rate:,.0f} a minute are {rate / PER_MINUTE:.1%} of the {PER_MINUTE:,} that the limit allows")
    print(f"  requests that were told to slow down: {server.outcomes['too fast']}")


def trouble(drafts: Sequence[Draft]) -> None:
    with TencentServer(Settings(LATENCY_S, PER_SECOND, faults=TROUBLE, hang_s=30, seed=1)) as server:
        seconds = translated(server, drafts, **{"providers.tencent.timeout_s": 3.0})
    usage = json.loads(Path("reports/usage.json").read_text(encoding="utf-8"))["rewriting"]
    twice = sum(count - 1 for count in server.answered.values())
    print(f"trouble: {usage['requests']} requests, {sum(usage['retries'].values())} sent again, {seconds:.1f} s")
    print(
        f"  {usage['paid']['answers']:,} answers in the account, {len(server.answered):,} texts, {twice} of them twice"
    )
    arrivals = [at - server.arrivals[0] for at in server.arrivals]
    quarters = [sum(q * arrivals[-1] / 4 <= at <= (q + 1) * arrivals[-1] / 4 for at in arrivals) for q in range(4)]
    print(f"  requests let through in each quarter of the time: {', '.join(map(str, quarters))}")


def settings(server: TencentServer, **more: Any) -> Any:
    return params({"providers.tencent.base_url": server.url, **more}).providers.tencent


def translated(server: TencentServer, drafts: Sequence[Draft], **more: Any) -> float:
    """Seconds for rewriting `drafts`; checks that each result belongs to its draft."""
    providers = params({"providers.tencent.base_url": server.url, **more}).providers
    with tencent_translator(providers, "ja", "rewriting") as translator:
        started = time.monotonic()
        rewritten = list(translator(drafts))
        seconds = time.monotonic() - started
    for draft, texts in zip(drafts, rewritten, strict=True):
        assert list(texts) == [server.translated(f"{text}", "zh") for text in draft.texts], draft.id
    return seconds


if __name__ == "__main__":
    no_arguments(main)
    main()
