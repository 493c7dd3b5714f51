"""What a stage would ask for: its own code runs with something that looks into the store and sends nothing.

A `PlanningRunner` stands in for the runner behind a `ChatSampler` or a translator, a `PlanningSampler` for a local
engine. What the store lacks is refused as `UNASKED`. So the stage tries again as often as it ever would, and the `Plan`
sees every request that can become necessary: those that are certain, and those that depend on answers not yet there.
A refusal that is stored is one here, too.

A subject is drawn in waves: a prompt in attempts, whoever is asked it; a question in rounds, whose reasonings and
programs depend on each other. How many requests follow on those of a wave is learned from the subjects whose waves are
all stored.
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
from augen.prompts.sections import PROGRAM, puzzle_of
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
    """What the replies of one model were like. A refused request has no tokens, as nothing is billed for it."""

    answers: int = 0
    characters: int = 0  # of the prompts
    prompt_tokens: int = 0
    cached_tokens: int = 0
    tokens: int = 0
    squares: int = 0  # of the numbers of tokens of each reply
    refused: int = 0

    @property
    def requests(self) -> int:
        return self.answers + self.refused

    def add(self, characters: int, answer: Mapping[str, Any]) -> None:
        self.answers += "refused" not in answer
        self.refused += "refused" in answer
        self.characters += characters
        self.prompt_tokens += answer.get("prompt_tokens", 0)
        self.cached_tokens += answer.get("cached_tokens", 0)
        self.tokens += answer["tokens"]
        self.squares += answer["tokens"] ** 2


class Wave(NamedTuple):
    """When a request is made: in the wave `number`, where `unknown` is the first whose answers are not all stored."""

    unknown: int  # UNCERTAIN: not even the first is sure to be made
    number: int
    course: str  # the kind of the subject's first request

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

    kind: str
    waves: int = 0
    unknown: int | None = None


class Plan:
    """All requests of a stage, by kind and model.

    With `by_question` all slots of a question have one course, as reasonings and programs that are drawn in turn do.
    """

    def __init__(self, by_question: bool = False) -> None:
        self.stored: Counter[tuple[str, str]] = Counter()
        self.seen: dict[tuple[str, str], Seen] = defaultdict(Seen)
        self.need: dict[tuple[str, str], Need] = defaultdict(Need)
        self.packs = Packs()
        self.rounds = 0  # how often something is asked for, one after the other, if all becomes necessary
        self._by_question = by_question
        self._courses: dict[str, _Course] = {}
        self._unknown: int | None = None
        # Requests by course and wave, of subjects that are known: whose waves are stored up to this one, or that one.
        self._drawn: Counter[tuple[str, int]] = Counter()
        self._again: Counter[tuple[str, int]] = Counter()  # in the wave after that one
        self._mixed: Counter[tuple[str, int, str]] = Counter()  # in this one, by kind
        self._begun: Counter[tuple[str, int]] = Counter()  # in the last wave of other subjects that is not in doubt
        self._waves: dict[str, int] = defaultdict(int)  # how many there are, by course

    def subject(self, prompt: str) -> str:
        """What `prompt` is about."""
        return f"{seed_of(puzzle_of(prompt) if self._by_question else prompt)}"

    def wave(self, requests: Sequence[Asked], answers: Sequence[Mapping[str, Any] | None]) -> None:
        """Note `requests` that are made at once, with the stored answer to each."""
        self.rounds += None in answers
        by_subject: dict[str, list[tuple[Asked, Mapping[str, Any] | None]]] = defaultdict(list)
        for asked, answer in zip(requests, answers, strict=True):
            by_subject[asked.subject].append((asked, answer))
        for subject, pairs in by_subject.items():
            kind = pairs[0][0].kind
            self._note(self._courses.setdefault(subject, _Course(kind, unknown=self._unknown)), pairs)

    def _note(self, course: _Course, pairs: Sequence[tuple[Asked, Mapping[str, Any] | None]]) -> None:
        number, own = course.waves, course.kind
        self._waves[own] = max(self._waves[own], number + 1)
        if course.unknown is None:
            self._again[own, number - 1] += len(pairs)
            self._mixed.update((own, number, asked.kind) for asked, _ in pairs)
            if all(answer is not None for _, answer in pairs):
                self._drawn[own, number] += len(pairs)
            else:
                self._begun[own, number] += len(pairs)
        elif number == 0:
            self._begun[own, course.unknown] += len(pairs)
        # In the first wave of which answers are missing nothing depends on them yet.
        wave = Wave(number if course.unknown is None else course.unknown, number, own)
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

    def again(self, course: str, number: int) -> float | None:
        """How many requests follow on one of the wave `number`, in the next one; None where the store does not tell.

        What few requests of one wave say is drawn towards what all waves say together: more so for attempts, which are
        much alike, than for rounds.
        """
        waves = [wave for of, wave in self._drawn if of == course and wave + 1 < self._waves[course]]
        drawn = sum(self._drawn[course, wave] for wave in waves)
        if drawn < FEW:
            return None
        overall = sum(self._again[course, wave] for wave in waves) / drawn
        own = self._drawn[course, number] if number in waves else 0
        alike = max(0, FEW - own) if self._by_question else 2 * FEW
        return (self._again[course, number] + alike * overall) / (own + alike) if own else overall

    def likely(self, kind: str, wave: Wave, least: int) -> float:
        """How many of the requests of `wave` are expected, as a share; `least` waves are certain.

        Of a kind, all requests that may follow on the same wave have the same share, whichever wave they would be in.
        """
        course, unknown = wave.course, wave.unknown
        if wave.number == unknown or wave.is_certain(least):
            return 1.0
        begun, expected, possible = float(self._begun[course, unknown]), 0.0, 0
        for number in range(unknown + 1, self._waves[course]):
            if number >= max(1, least):
                known = self.again(course, number - 1)
                begun *= ASSUMED if known is None else known
            if not (following := wave._replace(number=number)).is_certain(least):
                expected += begun * self._part(kind, following)
                possible += self._possible(following)[kind]
        return min(1.0, expected / possible)

    def _part(self, kind: str, wave: Wave) -> float:
        """Which share of the requests of `wave` is of `kind`: as far as is known, else of those that are possible."""
        known = Counter(
            {of: n for (course, number, of), n in self._mixed.items() if (course, number) == (wave.course, wave.number)}
        )
        mixed = known if known.total() >= FEW else self._possible(wave)
        return mixed[kind] / mixed.total() if mixed.total() else 0.0

    def _possible(self, wave: Wave) -> Counter[str]:
        """How many requests `wave` may have, by kind."""
        found: Counter[str] = Counter()
        for (kind, _), need in self.need.items():
            found[kind] += need.requests[wave]
        return found


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
        found = self._found(call.key for call in calls)
        self.refused |= {call.key: UNASKED for call in calls if call.key not in found}
        self._plan.wave([self._asked(call) for call in calls], [found.get(call.key) for call in calls])

    def run(self, pipeline: Callable[[], Coroutine[Any, Any, None]], total: int) -> None:
        asyncio.run(pipeline())

    def look_up(self, calls: Iterable[Call]) -> None:
        new = {call.key: call for call in calls if call.key not in self.answers and call.key not in self.refused}
        found = self._found(new)
        packs = self._plan.packs
        packs.stored += len(found)
        for key in found.keys() - self.refused.keys():
            packs.before += len(new[key].payload["text"])
            packs.after += len(found[key]["text"])

    def forget(self) -> None:
        """Let go of the answers so far."""
        self.answers.clear()
        self.refused.clear()

    def start(self, batch: Sequence[Call]) -> "asyncio.Task[None]":
        packs = self._plan.packs
        lacking = [call for call in batch if call.key not in self.refused]
        packs.requests += bool(lacking)
        for call in lacking:
            text = call.payload["text"]
            if text in self._stand_ins:
                packs.guessed += call.characters
            else:
                packs.characters += call.characters
            stand_in = self._stand_in(text)
            self._stand_ins.add(stand_in)
            self.answers[call.key] = {"text": stand_in, "characters": call.characters}
        return asyncio.get_running_loop().create_task(asyncio.sleep(0))

    def _asked(self, call: Call) -> Asked:
        payload = call.payload
        prompt = payload["prompt"] if "prompt" in payload else payload["messages"][-1]["content"]
        most = call.tokens - call.characters
        subject = f"{self._asker} {self._plan.subject(prompt)}"
        return Asked(subject, _kind(prompt), payload["model"], call.characters, most)

    def _found(self, keys: Iterable[str]) -> dict[str, Answer]:
        """What the store has of `keys`, sorted into `answers` and `refused`."""
        found = self._store.get_many(keys)
        self.refused |= {key: str(answer["refused"]) for key, answer in found.items() if "refused" in answer}
        self.answers |= {key: answer for key, answer in found.items() if key not in self.refused}
        return found

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
        subject = f"{self._asker} {self._plan.subject(request.prompt)}"
        return Asked(subject, _kind(request.prompt), self._identity.engine, len(request.prompt), request.max_tokens)


def _kind(prompt: str) -> str:
    return "programs" if prompt.rstrip().endswith(PROGRAM) else "texts"
