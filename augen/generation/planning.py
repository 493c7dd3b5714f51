"""What a stage would ask for: its own code runs with something that looks into the store and sends nothing.

A `PlanningRunner` stands in for the runner behind a `ChatSampler` or a translator, a `PlanningSampler` for a local
engine. What the store lacks is refused as `UNASKED`. So the stage tries again as often as it ever would, and the `Plan`
sees every request that can become necessary: those that are certain, and those that depend on answers not yet there.

A subject (a prompt, whoever is asked it) is drawn in waves: attempts, or rounds. How often a wave is followed by
another one is learned from the subjects whose waves are all stored.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from augen.core.seeds import seed_of
from augen.generation.base import UNASKED, Completion, IndexedRequest, Request
from augen.generation.sampler import Identity, completion_of, sample_key
from augen.generation.served.account import Answer
from augen.generation.served.runner import Call
from augen.prompts.sections import PROGRAM
from augen.store.responses import Store

ASSUMED = 0.5  # the share of a wave that is asked again, where the store does not tell
FEW = 10  # of fewer subjects nothing is learned
UNCERTAIN = -1


class Asked(NamedTuple):
    """One request: of what kind, whom, and how long it is."""

    subject: str
    kind: str  # reasonings and other texts, or programs: their lengths and their success differ
    model: str
    characters: int
    most: int  # tokens of the reply


@dataclass
class Seen:
    """What the replies of one model were like."""

    answers: int = 0
    characters: int = 0  # of the prompts
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    squares: int = 0  # of the numbers of tokens of each reply

    def add(self, characters: int, answer: Mapping[str, Any]) -> None:
        self.answers += 1
        self.characters += characters
        self.prompt_tokens += answer.get("prompt_tokens", 0)
        self.cached_tokens += answer.get("cached_tokens", 0)
        self.tokens += answer["tokens"]
        self.squares += answer["tokens"] ** 2


class Wave(NamedTuple):
    """When a request is made: in the wave `number`, where `unknown` is the first whose answers are not all stored."""

    unknown: int  # UNCERTAIN: not even the first is sure to be made
    number: int

    def is_certain(self, least: int) -> bool:
        """Whether it will be made, whatever is answered before; `least` waves are always made."""
        return self.unknown != UNCERTAIN and self.number < max(least, self.unknown + 1)


@dataclass
class Need:
    """What the store lacks of one model's replies of one kind, by wave."""

    requests: Counter[Wave] = field(default_factory=Counter)
    characters: Counter[Wave] = field(default_factory=Counter)
    most: Counter[Wave] = field(default_factory=Counter)  # tokens of the replies


@dataclass
class _Course:
    """The waves of one subject so far."""

    waves: int = 0
    unknown: int | None = None


class Plan:
    """All requests of a stage, by kind and model."""

    def __init__(self) -> None:
        self.stored: Counter[tuple[str, str]] = Counter()
        self.seen: dict[tuple[str, str], Seen] = defaultdict(Seen)
        self.need: dict[tuple[str, str], Need] = defaultdict(Need)
        self.packs = Packs()
        self._courses: dict[str, _Course] = {}
        self._unknown: int | None = None
        self._drawn: Counter[tuple[str, int]] = Counter()  # requests, by kind and wave, of subjects that are known
        self._again: Counter[tuple[str, int]] = Counter()  # in the wave after that one
        self._reached: set[tuple[str, int]] = set()  # waves that there are, by kind

    def wave(self, requests: Sequence[Asked], answers: Sequence[Mapping[str, Any] | None]) -> None:
        """Note `requests` that are made at once, with the stored answer to each."""
        by_subject: dict[str, list[tuple[Asked, Mapping[str, Any] | None]]] = defaultdict(list)
        for asked, answer in zip(requests, answers, strict=True):
            by_subject[asked.subject].append((asked, answer))
        for subject, pairs in by_subject.items():
            self._note(self._courses.setdefault(subject, _Course(unknown=self._unknown)), pairs)

    def _note(self, course: _Course, pairs: Sequence[tuple[Asked, Mapping[str, Any] | None]]) -> None:
        number, kind = course.waves, pairs[0][0].kind
        self._reached.add((kind, number))
        if course.unknown is None:
            self._again[kind, number - 1] += len(pairs)
            if all(answer is not None for _, answer in pairs):
                self._drawn[kind, number] += len(pairs)
        # In the first wave of which answers are missing nothing depends on them yet.
        wave = Wave(number if course.unknown is None else course.unknown, number)
        for asked, answer in pairs:
            if answer is not None:
                self.stored[asked.kind, asked.model] += 1
                self.seen[asked.kind, asked.model].add(asked.characters, answer)
            else:
                need = self.need[asked.kind, asked.model]
                need.requests[wave] += 1
                need.characters[wave] += asked.characters
                need.most[wave] += asked.most
                course.unknown = wave.unknown
        course.waves += 1

    def next_part(self, certain: bool = True) -> None:
        """What comes now has waves of its own: equal prompts are asked for other questions.

        Where it is not `certain`, it may turn out that not even its first waves are needed.
        """
        self._courses.clear()
        self._unknown = None if certain else UNCERTAIN

    def again(self, kind: str, number: int) -> float | None:
        """The share of the wave `number` that is asked again in the next one; None where the store does not tell.

        What few requests of one wave say is drawn towards what all waves say together.
        """
        waves = [wave for of, wave in self._drawn if of == kind and (kind, wave + 1) in self._reached]
        drawn = sum(self._drawn[kind, wave] for wave in waves)
        if drawn < FEW:
            return None
        overall = sum(self._again[kind, wave] for wave in waves) / drawn
        own = self._drawn[kind, number] if number in waves else 0
        return (self._again[kind, number] + 2 * FEW * overall) / (own + 2 * FEW) if own else overall

    def likely(self, kind: str, wave: Wave, least: int) -> float:
        """How many of the requests of `wave` are expected, as a share; `least` waves are certain."""
        share = 1.0
        for number in range(wave.unknown, wave.number):
            if number + 1 >= least:
                known = self.again(kind, number)
                share *= ASSUMED if known is None else known
        return share


@dataclass
class Packs:
    """Requests that hold several texts and are paid by character: those that are to be sent."""

    requests: int = 0
    stored: int = 0  # texts
    characters: int = 0  # of texts that are known
    guessed: int = 0  # of texts that stand in for translations which are not there yet
    before: int = 0  # characters of translated texts in the store, and
    after: int = 0  # of their translations


class PlanningRunner:
    """See `Asking`: sends nothing. Where texts are packed, one of likely length stands in for a missing translation."""

    def __init__(self, store: Store, plan: Plan, asker: str = "") -> None:
        """`asker` tells apart who asks the same prompts: each has waves of its own."""
        self._asker = asker
        self.answers: dict[str, Answer] = {}
        self.refused: dict[str, str] = {}
        self.label = ""
        self._store, self._plan = store, plan
        self._stand_ins: set[str] = set()
        self._owed = 0.0  # characters by which stand-ins are too short so far

    def fetch(self, batches: Sequence[Sequence[Call]]) -> None:
        """Note the calls of `batches`, one in each; what is not stored is refused."""
        calls = [call for (call,) in batches]
        found = self._store.get_many(call.key for call in calls)
        self.answers |= found
        self.refused |= {call.key: UNASKED for call in calls if call.key not in found}
        self._plan.wave([_asked(call, self._asker) for call in calls], [found.get(call.key) for call in calls])

    def run(self, pipeline: Callable[[], Coroutine[Any, Any, None]], total: int) -> None:
        asyncio.run(pipeline())

    def look_up(self, calls: Iterable[Call]) -> None:
        new = {call.key: call for call in calls if call.key not in self.answers}
        found = self._store.get_many(new)
        self.answers |= found
        packs = self._plan.packs
        packs.stored += len(found)
        for key, answer in found.items():
            packs.before += len(new[key].payload["text"])
            packs.after += len(answer["text"])

    def start(self, batch: Sequence[Call]) -> "asyncio.Task[None]":
        packs = self._plan.packs
        packs.requests += 1
        for call in batch:
            text = call.payload["text"]
            if text in self._stand_ins:
                packs.guessed += call.characters
            else:
                packs.characters += call.characters
            stand_in = self._stand_in(text)
            self._stand_ins.add(stand_in)
            self.answers[call.key] = {"text": stand_in, "characters": call.characters}
        return asyncio.get_running_loop().create_task(asyncio.sleep(0))

    def _stand_in(self, text: str) -> str:
        """`text`, longer or shorter as translations are; what is rounded off is made up for in the next ones."""
        packs = self._plan.packs
        self._owed += len(text) * (packs.after / packs.before if packs.before else 1.0) - len(text)
        change = max(round(self._owed), 1 - len(text))
        self._owed -= change
        return text + "译" * change if change >= 0 else text[:change]


class PlanningSampler:
    """A `Sampler` of a local engine that draws nothing."""

    def __init__(self, store: Store, plan: Plan, identity: Identity, asker: str = "") -> None:
        """`asker` as of `PlanningRunner`."""
        self._store, self._plan, self._identity, self._asker = store, plan, identity, asker

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        """See ``Sampler.draw``; what is not stored is refused."""
        keys = [sample_key(request, index, self._identity) for request, index in requests]
        found = self._store.get_many(keys)
        self._plan.wave([self._asked(request) for request, _ in requests], [found.get(key) for key in keys])
        return [
            completion_of(request, found[key]) if key in found else Completion("", 0, "stop", refused=UNASKED)
            for key, (request, _) in zip(keys, requests, strict=True)
        ]

    def close(self) -> None:
        """Nothing is loaded."""

    def _asked(self, request: Request) -> Asked:
        subject, kind = f"{self._asker} {seed_of(request.prompt)}", _kind(request.prompt)
        return Asked(subject, kind, self._identity.engine, len(request.prompt), request.max_tokens)


def _asked(call: Call, asker: str) -> Asked:
    payload = call.payload
    prompt = payload["prompt"] if "prompt" in payload else payload["messages"][-1]["content"]
    return Asked(
        f"{asker} {call.subject}", _kind(prompt), payload["model"], call.characters, call.tokens - call.characters
    )


def _kind(prompt: str) -> str:
    return "programs" if prompt.rstrip().endswith(PROGRAM) else "texts"
