"""Wraps prompts in the chat template of the generator and fits them into its context window::

    window = Window(p.model, p.prompt.chat_template, p.engine.max_model_len, p.prompt.template_args)
    window.wrap(prompt)            # the text that the model gets
    window.fits(text, new=256)     # whether it leaves room for 256 new tokens

A model behind an API has a `ServedWindow`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from augen.core import params
from augen.core.errors import AugenError
from augen.core.models import load_tokenizer
from augen.prompts.sections import Example, user_message


@dataclass
class Window:
    """The chat template and the context window of the generator."""

    model: params.Model
    chat_template: bool
    max_model_len: int  # tokens of a prompt and its completion together
    template_args: Mapping[str, Any] = field(default_factory=dict)

    def wrap(self, prompt: str) -> str:
        """`prompt` as a single user message in the chat template; unchanged if no chat template is to be used."""
        if not self.chat_template:
            return prompt
        if not (template := self._tokenizer.chat_template):
            raise AugenError(f"{self.model.generator}: has no chat template; set prompt.chat_template to false")
        if unknown := [n for n in self.template_args if not re.search(rf"\b{re.escape(n)}\b", str(template))]:
            raise AugenError(
                f"prompt.template_args: the chat template of {self.model.generator} knows no {', '.join(unknown)}"
            )
        messages = [{"role": "user", "content": user_message(prompt)}]
        arguments = {"tokenize": False, "add_generation_prompt": True, **self.template_args}
        try:
            return str(self._tokenizer.apply_chat_template(messages, **arguments))
        except Exception as fault:  # a template is a program, and stopped in many ways
            raise AugenError(
                f"{self.model.generator}: its chat template ends with an error ({type(fault).__name__}: "
                f"{str(fault)[:200]}); set prompt.chat_template to false, or name another model"
            ) from fault

    def fits(self, text: str, new: int) -> bool:
        """Whether `text` and `new` more tokens fit into the model's window."""
        room = self.max_model_len - new
        # A token has at least one byte (in a tokenizer that spells unknown text in bytes), so short texts need no
        # counting of tokens.
        return len(text.encode()) < room or self.length(text) <= room

    def length(self, text: str) -> int:
        """Number of tokens of `text`."""
        return len(self._tokenizer(text)["input_ids"])

    def fitted(self, prompt: Callable[[Sequence[Example]], str], examples: Sequence[Example], new: int) -> str | None:
        """The wrapped prompt with as many of the most similar (last) `examples` as fit.

        `prompt` builds the text from examples. None if the question alone is too long.
        """
        for dropped in range(len(examples) + 1):
            text = self.wrap(prompt(examples[dropped:]))
            if self.fits(text, new):
                return text
        return None

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self.model.generator, "model.generator", revision=self.model.revision)


class ServedWindow(Window):
    """The window of a model behind an API: the server wraps prompts, and its tokenizer is not available here.

    A character counts as one token; Chinese and English texts hardly ever need more tokens than that.
    """

    def wrap(self, prompt: str) -> str:
        return prompt

    def length(self, text: str) -> int:
        return len(text)
