"""The rewriting backend that ``translate.backend`` in params.yaml names."""

from collections.abc import Iterator
from contextlib import contextmanager

from augen.core import params
from augen.rewriting import Rewriter


@contextmanager
def open_rewriter(stage: str, p: params.Params) -> Iterator[Rewriter]:
    """The backend, ready for use; what it opens is closed afterwards. Only its own modules are imported."""
    settings = p.translate
    match settings.backend:
        case "tencent":
            from augen.generation.served.failures import keep_failures
            from augen.rewriting.translation import tencent_translator

            with tencent_translator(p.providers, settings.pivot, stage) as translator:
                yield translator
                keep_failures(stage, translator.failures)
        case "nmt":
            from augen.rewriting.nmt import Nmt
            from augen.store.responses import Store, default_path

            with Store(default_path()) as store:
                yield Nmt(settings.nmt, store)
        case "llm":
            from augen.generation.open import open_sampler
            from augen.generation.served.failures import keep_failures
            from augen.rewriting.llm import LlmRewriter
            from augen.rewriting.round_trip import RoundTrip

            llm = settings.llm
            with open_sampler(stage, llm.provider, providers=p.providers, models=llm.models) as sampler:
                if llm.method == "paraphrase":
                    rewriter: LlmRewriter | RoundTrip = LlmRewriter(sampler, llm, p.seed)
                else:
                    rewriter = RoundTrip(sampler, llm, settings.pivot, p.seed)
                yield rewriter
                keep_failures(stage, rewriter.failures)
        case _:
            from augen.rewriting.synonyms import Synonyms

            yield Synonyms(rate=settings.rate, seed=p.seed)
