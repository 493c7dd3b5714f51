"""The rewriting backend that ``translate.backend`` in params.yaml names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from augen.core import params
from augen.rewriting import Rewriter

if TYPE_CHECKING:
    from augen.generation.planning import Plan
    from augen.generation.served.failures import Failure


@contextmanager
def open_rewriter(stage: str, p: params.Params) -> Iterator[Rewriter]:
    """The backend, ready for use; what it opens is closed afterwards. Only its own modules are imported."""
    settings = p.translate
    match settings.backend:
        case "tencent" | "llm":
            from augen.generation.served.failures import keep_failures

            with open_paid(stage, p) as rewriter:
                yield rewriter
                keep_failures(stage, rewriter.failures)
        case "nmt":
            from augen.rewriting.nmt import Nmt
            from augen.store.responses import Store, default_path

            with Store(default_path()) as store:
                yield Nmt(settings.nmt, store)
        case _:
            from augen.rewriting.synonyms import Synonyms

            yield Synonyms(rate=settings.rate, seed=p.seed)


class PaidRewriter(Rewriter, Protocol):
    """A `Rewriter` that says which drafts nobody rewrote."""

    failures: "list[Failure]"


@contextmanager
def open_paid(stage: str, p: params.Params, plan: "Plan | None" = None) -> Iterator[PaidRewriter]:
    """The backend of a provider. With a `plan` nothing is sent, and what would be is noted there."""
    from augen.generation.open import open_sampler
    from augen.rewriting.llm import LlmRewriter
    from augen.rewriting.round_trip import RoundTrip
    from augen.rewriting.translation import tencent_translator

    settings, llm = p.translate, p.translate.llm
    if settings.backend == "tencent":
        with tencent_translator(p.providers, settings.pivot, stage, plan) as translator:
            yield translator
        return
    with open_sampler(stage, llm.provider, providers=p.providers, models=llm.models, plan=plan) as sampler:
        if llm.method == "paraphrase":
            yield LlmRewriter(sampler, llm, p.seed)
        else:
            yield RoundTrip(sampler, llm, settings.pivot, p.seed)
