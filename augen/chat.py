"""Chat templates: a prompt as the one message of a user, for instruct models (params.yaml: prompt.chat_template)."""

from collections.abc import Callable


def wrapper(model: str, revision: str | None, chat_template: bool) -> Callable[[str], str]:
    """What turns a prompt into the text that `model` is given; without `chat_template` it stays as it is."""
    if not chat_template:
        return lambda prompt: prompt
    from transformers import AutoTokenizer

    from augen.errors import AugenError

    tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
    if not tokenizer.chat_template:
        raise AugenError(f"{model}: has no chat template; set prompt.chat_template to false in params.yaml")

    def wrap(prompt: str) -> str:
        messages = [{"role": "user", "content": prompt}]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    return wrap
