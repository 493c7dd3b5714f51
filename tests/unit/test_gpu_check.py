"""The check of a GPU: which stages it runs and which it leaves out, what it changes, what its table says."""

import pytest
from ruamel.yaml import YAML

from tests.params import params
from tools.gpu_check import CPU, GPU, LOMO, ROOT, Outcome, Stage, changes, missing, page, rate_of, stages_of

PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
INDEX = Stage("index", ("data/filtered/entries.pkl",), ("models/index",))


def test_every_stage_but_the_frozen_one_in_the_order_of_the_pipeline() -> None:
    found = stages_of(PIPELINE)
    assert [stage.name for stage in found] == [name for name in PIPELINE["stages"] if name != "pretrain"]
    by_name = {stage.name: stage for stage in found}
    assert by_name["train_scorer"].makes == ("models/scorer", "reports/plots/scorer.csv", "reports/scorer.json")
    assert {"models/index", "models/tiny"} <= {*by_name["finetune"].needs}


def test_no_stage_needs_what_a_later_one_makes() -> None:
    found = stages_of(PIPELINE)
    for number, stage in enumerate(found):
        later = [out for other in found[number:] for out in other.makes]
        assert missing(stage, later) == []


@pytest.mark.parametrize(
    ("lost", "found"),
    [
        ([], []),
        (["data/filtered/entries.pkl", "models/scorer"], ["data/filtered/entries.pkl"]),
        (["data/filtered"], ["data/filtered"]),
        (["data/filtered/entries.pkl/part"], ["data/filtered/entries.pkl/part"]),
        (["data/filtered/entries.pk", "data/filt"], []),
    ],
)
def test_what_a_stage_lacks(lost: list[str], found: list[str]) -> None:
    assert missing(INDEX, lost) == found


@pytest.mark.parametrize(
    ("said", "rate"),
    [
        ("0 samples from the store, 30 drawn: 12,000 tokens in 3 s\ndata/x", "4,000 tokens/s"),
        ("0 samples from the store, 30 drawn: 12,000 tokens in 0 s", ""),
        ("5 samples from the store, 0 drawn", ""),
        ("training: 100%|###| 8/8 [00:02<00:00,  3.94it/s, loss 0.69]\n", "3.94 it/s"),
        (
            "  0%|   | 0/8 [00:00<?, ?it/s]\rtraining: 100%|###| 8/8 [00:26<00:00,  1.68s/it, loss 0.6]",
            "1.68 s/it",
        ),
        ("training:  50%|#  | 4/8 [00:02<00:02,  3.94it/s]", ""),
    ],
)
def test_rates(said: str, rate: str) -> None:
    assert rate_of(said) == rate


@pytest.mark.parametrize("cpu", [True, False])
@pytest.mark.parametrize("lomo", [True, False])
def test_what_is_changed_is_allowed_and_asks_for_bfloat16_on_a_gpu_alone(cpu: bool, lomo: bool) -> None:
    change = changes(cpu, lomo)
    p = params(change)
    assert (p.scorer.bf16, p.finetune.bf16, p.model.dtype) == (
        (False, False, "float32") if cpu else (True, True, "bfloat16")
    )
    assert p.finetune.gradient_checkpointing and p.infer.engine == "transformers"
    assert (p.scorer.optimizer == "lomo") == lomo
    assert change.keys() >= (CPU if cpu else GPU).keys() | (LOMO.keys() if lomo else set())


def test_the_table_has_every_stage_and_the_sum_of_their_times() -> None:
    rows = page(
        [
            Outcome("prepare", "ok", 1.25),
            Outcome("finetune", "failed", 10.0, 1234.5, "3.94 it/s"),
            Outcome("infer", "not run: needs models/adapter"),
        ]
    ).splitlines()
    assert [row.split() for row in rows[2:]] == [
        ["prepare", "1.2", "ok"],
        ["finetune", "10.0", "1,234", "3.94", "it/s", "failed"],
        ["infer", "0.0", "not", "run:", "needs", "models/adapter"],
        ["all", "11.2"],
    ]
