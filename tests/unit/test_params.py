"""params.yaml: what is in it, and how each kind of fault in it is named.

What holds for the repository's two files holds for any valid values; faults are made in the tests' own params.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from augen.core.errors import AugenError
from augen.core.params import Params, check, load
from augen.entries import LETTERS
from tests.params import FILE, TEXT, raw_params

ROOT = Path(__file__).parents[2]
DEFAULT, PRODUCTION = ROOT / "params.yaml", ROOT / "params.production.yaml"
SECTIONS = tuple(Params.model_fields)


def read(file: Path) -> dict[str, Any]:
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


def keys(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from keys(below, f"{prefix}{key}.")
    else:
        yield prefix.removesuffix(".")


def faults(tmp_path: Path, text: str) -> list[str]:
    """The message for a params file with `text`, line by line, without the file's name."""
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AugenError) as caught:
        load("seed", path=path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(str(path)) for line in lines)
    return [line.removeprefix(f"{path}").removeprefix(": ") for line in lines]


def changed(key: str, value: Any) -> list[str]:
    """The faults of the tests' params with one key, ``section.key``, set to `value`."""
    params = raw_params()
    *sections, name = key.split(".")
    here = params
    for section in sections:
        here = here[section]
    here[name] = value
    with pytest.raises(AugenError) as caught:
        check(params, "p.yaml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith("p.yaml: ") for line in lines)
    return [line.removeprefix("p.yaml: ") for line in lines]


# --- the files themselves


def test_values_are_those_of_the_file() -> None:
    p = load(*SECTIONS, path=FILE)
    assert (p.seed, p.voters, p.infer.fallback) == (42, 5, "A")


@pytest.mark.parametrize("file", [DEFAULT, PRODUCTION], ids=lambda file: file.name)
def test_the_files_load(file: Path) -> None:
    load(*SECTIONS, path=file)


def test_the_tests_and_production_have_the_same_keys_in_the_same_order() -> None:
    assert list(keys(raw_params())) == list(keys(read(PRODUCTION)))


def test_the_models_list_exactly_the_keys_of_the_file() -> None:
    def declared(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from declared(inner, f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}"

    assert sorted(declared(Params)) == sorted(keys(read(DEFAULT)))


# --- a view


def test_a_view_shows_only_what_was_asked_for() -> None:
    p = load("seed", "infer", path=FILE)
    assert p.infer.threshold == 0.3
    with pytest.raises(AttributeError, match=r"does not load 'finetune': add it to load\(…\) and to dvc.yaml"):
        _ = p.finetune
    with pytest.raises(AttributeError, match="does not load 'voters'"):
        _ = p.voters


def test_values_cannot_be_changed() -> None:
    p = load("infer", path=FILE)
    with pytest.raises(ValueError, match="frozen"):
        p.infer.threshold = 0.9


def test_a_fault_in_a_section_that_is_not_loaded_is_found_all_the_same(tmp_path: Path) -> None:
    before, after = TEXT.split("\nfinetune:")
    assert faults(tmp_path, before + "\nfinetune:" + after.replace("  rank: 32", "  rank: 0")) == [
        "finetune.rank: input should be greater than or equal to 1, found 0"
    ]


# --- faults


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        # unknown keys
        ("voter", 5, "voter: unknown key; did you mean 'voters'?"),
        ("infer.treshold", 0.5, "infer.treshold: unknown key; did you mean 'threshold'?"),
        ("rag.zzz", 1, "rag.zzz: unknown key; known here: k, embedder, query_prompt"),
        # wrong types: nothing is converted
        ("seed", "42", "seed: input should be a valid integer, found '42'"),
        ("voters", 5.0, "voters: input should be a valid integer, found 5.0"),
        ("infer.temperature", "hot", "infer.temperature: input should be a valid number, found 'hot'"),
        ("infer.adapter", 1, "infer.adapter: input should be a valid boolean, found 1"),
        ("infer.adapter", "false", "infer.adapter: input should be a valid boolean, found 'false'"),
        ("prompt.solve", None, "prompt.solve: input should be a valid string, found None"),
        ("voters", True, "voters: input should be a valid integer, found True"),
        ("model.revision", 7, "model.revision: input should be a valid string, found 7"),
        # impossible values
        ("voters", 0, "voters: input should be greater than or equal to 1, found 0"),
        ("max_resample", -1, "max_resample: input should be greater than or equal to 0, found -1"),
        ("infer.top_p", 0.0, "infer.top_p: input should be greater than 0, found 0.0"),
        ("infer.threshold", 1.5, "infer.threshold: input should be less than or equal to 1, found 1.5"),
        ("infer.temperature", -0.1, "infer.temperature: input should be greater than or equal to 0, found -0.1"),
        (
            "infer.vote",
            "most",
            "infer.vote: input should be 'majority', 'likelihood', 'weighted' or 'best', found 'most'",
        ),
        ("infer.fallback", "a", "infer.fallback: string should match pattern '^[A-J]$', found 'a'"),
        ("infer.fallback", "K", "infer.fallback: string should match pattern '^[A-J]$', found 'K'"),
        ("prepare.dev_fraction", 1.0, "prepare.dev_fraction: input should be less than 1, found 1.0"),
        ("prepare.limit", 0, "prepare.limit: input should be greater than or equal to 1, found 0"),
        ("prepare.train", "", "prepare.train: string should have at least 1 character, found ''"),
        (
            "prepare.families",
            [],
            "prepare.families: value should have at least 1 item after validation, not 0, found []",
        ),
        ("prepare.families", 3, "prepare.families: input should be a valid list, found 3"),
        ("prepare.families", ["dial", 3], "prepare.families.1: input should be a valid string, found 3"),
        ("scorer.learning_rate", float("nan"), "scorer.learning_rate: input should be a finite number, found nan"),
        ("finetune.epochs", float("inf"), "finetune.epochs: input should be a finite number, found inf"),
        ("infer.threshold", float("nan"), "infer.threshold: input should be a finite number, found nan"),
        ("pretrain.hidden", 100, "pretrain.hidden: input should be a multiple of 32, found 100"),
        # a section that is none
        ("infer", 5, "infer: input should be a valid dictionary or instance of Infer, found 5"),
        ("infer", None, "infer: input should be a valid dictionary or instance of Infer, found None"),
    ],
)
def test_a_faulty_value_is_named_with_its_key(key: str, value: Any, message: str) -> None:
    assert changed(key, value) == [message]


@pytest.mark.parametrize("letter", LETTERS)
def test_the_letter_of_any_option_may_be_the_fallback(letter: str) -> None:
    assert check(raw_params({"infer.fallback": letter}), "params.yaml").infer.fallback == letter


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"translate": {"min_length_ratio": 2.0, "max_length_ratio": 2.0}},
            "translate: min_length_ratio must be below max_length_ratio",
        ),
        (
            {"reason_true": {"hinted": True, "only_uncertain": True}},
            "reason_true: only_uncertain needs attempts without the answer: set hinted or only_uncertain to false",
        ),
        (
            {"reason_true": {"backend": "openai", "models": ["m"], "adapter": "models/adapter_1"}},
            "reason_true: backend openai cannot load an adapter: set adapter to null",
        ),
        (
            {"reason_true": {"adapter": "./models/adapter/"}},
            "reason_true: adapter models/adapter is what this run will train: name a copy of an earlier one",
        ),
        (
            {"reason_true": {"attempts": 1, "only_uncertain": True}},
            "reason_true: only_uncertain needs at least 2 attempts: one is always right or always wrong",
        ),
        (
            {"scorer": {"optimizer": "lomo", "gradient_accumulation": 2}},
            "scorer: optimizer lomo updates during backward: set gradient_accumulation to 1",
        ),
        (
            {"prefer": {"method": "dpo", "beta": 0.0}},
            "prefer: method dpo learns nothing with beta 0: set beta to 0.1, say",
        ),
        (
            {"prefer": {"method": "grpo", "batch_size": 6, "generations": 4}},
            "prefer: method grpo needs a batch_size × gradient_accumulation that is a multiple of generations",
        ),
        (
            {"prefer": {"method": "dpo"}, "finetune": {"target": "answer"}},
            "(file): prefer.method dpo judges reasonings, and with finetune.target answer the adapter writes none: "
            "set prefer.method to none, or finetune.target to reasoning",
        ),
    ],
)
def test_values_that_contradict_each_other(changes: dict[str, dict[str, Any]], message: str) -> None:
    params = raw_params()
    for section, values in changes.items():
        params[section] |= values
    with pytest.raises(AugenError) as caught:
        check(params, "p.yaml")
    assert str(caught.value) == f"p.yaml: {message}"


def test_missing_keys_and_sections() -> None:
    params = raw_params()
    del params["voters"], params["rag"], params["infer"]["vote"]
    with pytest.raises(AugenError) as caught:
        check(params, "p.yaml")
    see = "missing; see the commented params.yaml of the repository"
    assert sorted(str(caught.value).splitlines()) == sorted(
        f"p.yaml: {key}: {see}" for key in ("voters", "rag", "infer.vote")
    )


def test_all_faults_at_once(tmp_path: Path) -> None:
    found = faults(tmp_path, TEXT.replace("voters: 5", "voters: many\nvotes: 5").replace("  k: 0\n", "  k: -1\n"))
    assert [line.split(":")[0] for line in found] == ["voters", "rag.k", "votes"]


def test_a_value_that_may_be_null() -> None:
    params = raw_params()
    params["engine"]["quantization"] = params["prepare"]["limit"] = None
    assert check(params, "p.yaml").prepare.limit is None


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("address", "ray://head:10001", "string should match pattern"),
        ("address", "head", "string should match pattern"),
        ("gpus", 2, "input should be less than or equal to 1"),
    ],
)
def test_a_ray_cluster_has_a_host_and_a_port_and_a_worker_one_gpu_at_most(key: str, value: Any, fault: str) -> None:
    params = raw_params()
    params["engine"]["ray"][key] = value
    with pytest.raises(AugenError, match=rf"engine\.ray\.{key}: {fault}"):
        check(params, "p.yaml")


def test_one_name_is_a_list_of_one() -> None:
    params = raw_params()
    assert check(params, "p.yaml").prepare.families == ["basic"]
    params["prepare"]["families"] = ["dial", "tolls"]
    assert check(params, "p.yaml").prepare.families == ["dial", "tolls"]


def test_a_whole_number_is_a_number() -> None:
    params = raw_params()
    params["infer"]["temperature"] = 1
    assert check(params, "p.yaml").infer.temperature == 1.0


# --- YAML


@pytest.mark.parametrize(("text", "value"), [("1e-5", 1e-5), ("1E-5", 1e-5), ("2.0e-4", 2e-4), ("0.001", 1e-3)])
def test_numbers_as_dvc_writes_them(text: str, value: float, tmp_path: Path) -> None:
    """``dvc exp run -S finetune.learning_rate=1e-5`` writes ``1e-5``, which YAML 1.1 reads as a text."""
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("learning_rate: 2.0e-3", f"learning_rate: {text}"), encoding="utf-8")
    assert load("finetune", path=path).finetune.learning_rate == value


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False), ("True", True), ("FALSE", False)])
def test_true_and_false(text: str, value: bool, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("  adaptive: false", f"  adaptive: {text}"), encoding="utf-8")
    assert load("infer", path=path).infer.adaptive is value


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "y", '"true"', "'false'", "1", "0", "nein"])
def test_what_is_not_true_or_false_is_not_guessed(text: str, tmp_path: Path) -> None:
    [fault] = faults(tmp_path, TEXT.replace("  adaptive: false", f"  adaptive: {text}"))
    assert fault.startswith("infer.adaptive: input should be a valid boolean, found ")


def test_a_key_given_twice(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, TEXT + "\nvoters: 7\n")
    line = len(TEXT.splitlines()) + 2
    assert fault.startswith(f':{line}: not valid YAML: found duplicate key "voters"')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [1\nvoters: 5\n", ":2: not valid YAML: expected ',' or ']'"),
        ("seed: 1\n\tvoters: 5\n", ":2: not valid YAML: "),
        ("", "expected a mapping of sections, found NoneType"),
        ("- seed\n", "expected a mapping of sections, found list"),
        ("seed", "expected a mapping of sections, found str"),
    ],
)
def test_not_a_params_file(text: str, message: str, tmp_path: Path) -> None:
    [fault] = faults(tmp_path, text)
    assert fault.startswith(message)


def test_another_encoding_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(AugenError, match="not found; run from the repository's root"):
        load("seed", path=path)
    path.write_bytes(TEXT.encode("gbk"))
    with pytest.raises(AugenError, match="not valid YAML: 'utf-8' codec"):
        load("seed", path=path)


def test_a_served_model_has_a_name_and_its_own_adapter() -> None:
    params = raw_params()
    params["infer"] |= {"engine": "openai"}
    with pytest.raises(AugenError, match=r"infer: engine openai needs at least one name in models"):
        check(params, "p.yaml")
    params["infer"] |= {"models": ["qwen"]}
    with pytest.raises(AugenError, match=r"engine openai cannot load an adapter: .* set adapter to false"):
        check(params, "p.yaml")
    params["infer"] |= {"adapter": False}
    assert check(params, "p.yaml").infer.models == ["qwen"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra_body": {"model": "m"}}, "model cannot be set here"),
        ({"extra_body": {"max_tokens": 5, "logprobs": True}}, "max_tokens, logprobs cannot be set here"),
        ({"models": [{"model": "m", "extra_body": {"messages": []}}]}, "messages cannot be set here"),
        ({"models": [{"seed": True}]}, "missing"),
        ({"models": [{"model": "m", "sed": True}]}, "did you mean 'seed'"),
        ({"tokens_as": "tokens"}, "max_completion_tokens"),
    ],
)
def test_what_a_request_cannot_carry_is_named(change: dict[str, Any], message: str) -> None:
    params = raw_params()
    params["providers"]["openai"] |= change
    with pytest.raises(AugenError, match=r"providers\.openai") as raised:
        check(params, "p.yaml")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"trust_remote_code": True}, "trust_remote_code is refused: vLLM could run or load"),
        ({"load_format": "auto"}, "load_format is refused"),
        ({"hf_overrides": {"text_config": [{"auto_map": {"AutoConfig": "x.y"}}]}}, "auto_map is refused"),
        ({"worker_cls": "os.system"}, "worker_cls is refused"),
        ({"dtype": "float16", "tensor_parallel_size": 2}, "dtype, tensor_parallel_size cannot be set here"),
        (["max_num_seqs"], "valid dictionary"),
    ],
)
def test_options_of_vllm_that_are_not_for_users(extra: Any, message: str) -> None:
    with pytest.raises(AugenError, match=r"p\.yaml: engine\.extra: ") as raised:
        check(raw_params({"engine.extra": extra}), "p.yaml")
    assert message in str(raised.value)


def test_further_options_of_vllm_pass_as_they_stand() -> None:
    extra = {"max_num_seqs": 64, "hf_overrides": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}}
    assert check(raw_params({"engine.extra": extra}), "p.yaml").engine.extra == extra


def test_qianfan_does_not_stream() -> None:
    params = raw_params({"providers.qianfan.models": [{"model": "m", "extra_body": {"stream": True}}]})
    with pytest.raises(AugenError, match="leave stream out"):
        check(params, "p.yaml")


def test_a_translation_prompt_has_both_of_its_places() -> None:
    with pytest.raises(AugenError, match=r"translate\.llm\.translation_prompt"):
        check(raw_params({"translate.llm.translation_prompt": "翻译：{text}"}), "p.yaml")
    assert check(raw_params({"translate.llm.translation_prompt": "{text}\n译成{language}"}), "p.yaml")


SET_UPS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/SERVED.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", [block for block in SET_UPS if "providers:" in block or "qianfan" in block])
def test_the_set_ups_of_the_docs_can_be_used(block: str) -> None:
    def merged(into: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
        for name, value in changes.items():
            if name != "…":
                nested = isinstance(value, dict) and isinstance(into.get(name), dict)
                into[name] = merged(into[name], value) if nested else value
        return into

    assert check(merged(raw_params(), YAML(typ="safe").load(block)), "docs/SERVED.md")
