"""A prompt as the generator gets it: wrapped in its chat template, and short enough for it.

window = Window(p.model, p.prompt.chat_template, p.engine.max_model_len)
window.wrap(prompt)            # the text that the model is given
window.fits(text, new=256)     # whether it leaves room for 256 new tokens
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from augen.core import params
from augen.core.errors import AugenError
from augen.prompts.sections import Example


@dataclass
class Window:
    """What the generator can be given."""

    model: params.Model
    chat_template: bool
    max_model_len: int  # tokens of a prompt and its completion together

    def wrap(self, prompt: str) -> str:
        """`prompt` as the one message of a user, for instruct models; without chat template it stays as it is."""
        if not self.chat_template:
            return prompt
        if not self._tokenizer.chat_template:
            raise AugenError(f"{self.model.generator}: has no chat template; set prompt.chat_template to false")
        messages = [{"role": "user", "content": prompt}]
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def fits(self, text: str, new: int) -> bool:
        """Whether `text` and `new` more tokens are within the model's window."""
        room = self.max_model_len - new
        # A token is at least a byte in every tokenizer that spells unknown text in bytes: most texts need no counting.
        return len(text.encode()) < room or self.length(text) <= room

    def length(self, text: str) -> int:
        """Tokens of `text`."""
        return len(self._tokenizer(text)["input_ids"])

    def fitted(self, prompt: Callable[[Sequence[Example]], str], examples: Sequence[Example], new: int) -> str | None:
        """The wrapped prompt with as many of `examples` as fit, the most similar (last) ones kept.

        None if the question alone is too long.
        """
        for dropped in range(len(examples) + 1):
            text = self.wrap(prompt(examples[dropped:]))
            if self.fits(text, new):
                return text
        return None

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.model.generator, revision=self.model.revision)


class ServedWindow(Window):
    """The window of a model behind an API: the server wraps prompts, and its tokenizer is not at hand.

    A character counts as a token, which Chinese and English texts hardly ever exceed.
    """

    def wrap(self, prompt: str) -> str:
        return prompt

    def length(self, text: str) -> int:
        return len(text)
