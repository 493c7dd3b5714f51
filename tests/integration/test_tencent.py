"""Rewriting with the real Tencent SDK against a server that signs, limits, bills and fails as TMT does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.entries.pickles import load_pickle
from augen.generation.served.errors import CallError, Misconfigured, QuotaUsedUp, SlowDown, Transient, Unusable
from augen.generation.served.tencent import Tencent
from augen.rewriting import KEPT, Draft, rewrite
from augen.rewriting.translation import tencent_translator
from demo.base import Settings
from demo.tencent import TencentServer
from tests.integration.paid import KEYS, Repository, assert_no_secrets, problems
from tests.params import params

pytestmark = pytest.mark.usefixtures("paid_environment")


@pytest.fixture
def server() -> Iterator[TencentServer]:
    with TencentServer(Settings(hang_s=10)) as server:
        yield server


def changes(server: TencentServer, **more: Any) -> dict[str, Any]:
    return {
        "translate.backend": "tencent",
        "providers.tencent.base_url": server.url,
        "providers.tencent.requests_per_second": None,
        "providers.tencent.timeout_s": 1.0,
        **more,
    }


def translated(server: TencentServer, drafts: list[Draft], **more: Any) -> list[list[str]]:
    with tencent_translator(params(changes(server, **more)).providers, "ja", "translate") as translator:
        return [list(texts) for texts in translator(drafts)]


PAYLOADS = [{"text": text, "source": "zh", "target": "ja"} for text in ("如果甲比乙高", "是")]


def send(server: TencentServer) -> Any:
    return Tencent(params(changes(server)).providers.tencent, 1).send(PAYLOADS)


def test_the_server_takes_the_sdks_signature(server: TencentServer) -> None:
    assert send(server) == [{"text": "〓如果甲比乙高", "characters": 6}, {"text": "〓是", "characters": 1}]


@pytest.mark.parametrize(
    ("fault", "error", "cause"),
    [
        ("429", SlowDown, "RequestLimitExceeded"),
        ("500", Transient, ""),
        ("reset", Transient, "connection"),
        ("hang", Transient, "timeout"),
        ("truncated", Transient, "broken reply"),
        ("wrong_count", Unusable, "wrong count"),
        ("empty", Transient, "broken reply"),
    ],
)
def test_every_fault_is_told_from_the_others(
    server: TencentServer, fault: str, error: type[CallError], cause: str
) -> None:
    server.settings.script.append(fault)
    with pytest.raises(error) as raised:
        send(server)
    assert type(raised.value) is error
    assert raised.value.cause.startswith(cause)


def test_quota_and_keys_are_told_from_what_passes(server: TencentServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.settings.quota = 0
    with pytest.raises(QuotaUsedUp, match="NoFreeAmount"):
        send(server)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "wrong-secret-1234")
    with pytest.raises(Misconfigured, match=r"SignatureFailure.*check TENCENTCLOUD_SECRET_ID and"):
        send(server)
    monkeypatch.delenv("TENCENTCLOUD_SECRET_KEY")
    with pytest.raises(Misconfigured, match="set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY"):
        send(server)


def test_there_and_back_in_as_few_requests_as_the_limit_allows(server: TencentServer) -> None:
    drafts = [Draft(f"p~{n}", (f"如果第{n}个盒子里有球，" * 10, "是", "否")) for n in range(12)]
    texts = translated(server, drafts, **{"providers.tencent.characters_per_request": 300})
    assert texts[3] == ["假如第3个盒子里有球；" * 10, "是", "否"]
    # 12 texts of 110 or 120 characters, two to a request, then 是 and 否; the same on the way back
    assert len(server.sizes) == 12
    assert max(server.sizes) <= 300
    assert server.answered["ja: 是"] == 1  # though twelve drafts have it


def test_a_text_longer_than_a_request_is_translated_in_parts(server: TencentServer) -> None:
    text = "\n  " + "如果甲比乙高，那么乙比丙高。" * 20 + "\n"
    [[rewritten]] = translated(server, [Draft("p~1", (text,))], **{"providers.tencent.characters_per_request": 50})
    assert rewritten == text.replace("如果", "假如").replace("，", "；")
    assert max(server.sizes) <= 50


def test_a_new_selection_of_problems_pays_only_for_new_texts(server: TencentServer) -> None:
    drafts = [Draft(f"p~{n}", (f"如果有{n}个球，那么",)) for n in range(20)]
    translated(server, drafts[5:])
    texts = translated(server, drafts[:12])
    assert len(texts) == 12
    assert set(server.answered.values()) == {1}


def test_more_than_the_api_takes_is_said_with_the_param_to_lower(server: TencentServer) -> None:
    server.max_chars = 2000
    draft = Draft("p~1", ("如果甲比乙高。" * 400,))
    with pytest.raises(AugenError, match=r"lower providers\.tencent\.characters_per_request"):
        translated(server, [draft])


def test_meaning_that_moved_on_the_way_is_dropped_by_the_guards() -> None:
    with TencentServer(Settings(), collapse=True) as server:
        provider = params(changes(server)).providers
        entries = problems(6)
        for entry in entries[:3]:
            for item in entry.questions:
                item.options = ["青色", "蓝色", "绿色"]
        with tencent_translator(provider, "ja", "translate") as translator:
            kept, account = rewrite(entries, translator, copies=1, min_length_ratio=0.5, max_length_ratio=2.0)
    assert account.counts["options_collapsed"] == 3
    assert account.counts[KEPT] == len(kept)


def test_trouble_of_every_kind_changes_nothing_but_the_account() -> None:
    """10 % 429, 5 % 500, 2 % cut replies, 1 % wrong counts, 1 % hangs, as a busy day has them."""
    faults = {"429": 0.10, "500": 0.05, "truncated": 0.02, "wrong_count": 0.01, "hang": 0.01}
    drafts = [Draft(f"p~{n}", (f"如果第{n}个盒子里有球，那么其余是空的。",)) for n in range(150)]
    small = {"providers.tencent.characters_per_request": 40}
    with TencentServer(Settings(faults=faults, hang_s=10, seed=3)) as server:
        texts = translated(server, drafts, **small)
    usage = json.loads(Path("reports/usage.json").read_text())["translate"]
    assert texts == [[draft.texts[0].replace("如果", "假如").replace("，", "；")] for draft in drafts]
    assert usage["paid"]["answers"] == 300
    assert set(server.answered.values()) == {1}
    assert {"RequestLimitExceeded", "broken reply", "timeout"} <= usage["retries"].keys()
    assert usage["requests"] == sum(server.outcomes.values())


def test_secrets_appear_nowhere(server: TencentServer, tmp_path: Path) -> None:
    server.settings.script += ["", "429", "500", "truncated", "reset"]
    repository = Repository(tmp_path / "repo", problems(4), changes(server, **{"providers.tencent.concurrency": 2}))
    good = repository.stage("translate")
    assert good.returncode == 0, good.stderr
    (repository.path / ".augen").rename(tmp_path / "kept")
    wrong = repository.stage("translate", TENCENTCLOUD_SECRET_KEY="another-secret-value-42")
    assert wrong.returncode == 1
    assert "check TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY" in wrong.stderr
    assert "Traceback" not in wrong.stderr

    outputs = good.stdout + good.stderr, wrong.stdout + wrong.stderr
    assert_no_secrets(tmp_path, *outputs, secrets=[*KEYS.values(), "another-secret-value-42"])


def test_the_stage_at_the_providers_own_limit(tmp_path: Path) -> None:
    with TencentServer(Settings(requests_per_second=5)) as server:
        small = {"providers.tencent.requests_per_second": 5.0, "providers.tencent.characters_per_request": 60}
        repository = Repository(tmp_path / "repo", problems(8), changes(server, **small))
        done = repository.stage("translate")
        assert done.returncode == 0, done.stderr
    assert len(load_pickle(repository.path / "data/entries_aug.pkl")) == 8
    # A request that is held up on its way lets a later one come too soon: seldom, and it is only sent again.
    assert server.outcomes["too fast"] <= 2 + 0.1 * len(server.arrivals)
    assert server.arrivals[-1] - server.arrivals[0] >= (len(server.arrivals) - 1) // 5


def test_a_quota_used_up_half_way_and_filled_again(server: TencentServer, tmp_path: Path) -> None:
    small = {"providers.tencent.characters_per_request": 60, "providers.tencent.concurrency": 1}
    repository = Repository(tmp_path / "repo", problems(8), changes(server, **small))
    server.settings.quota = 6
    stopped = repository.stage("translate")
    assert stopped.returncode == 1
    assert "the quota is used up" in stopped.stderr
    assert "are done; what arrived is stored; run `dvc repro` again to go on" in stopped.stderr
    assert load_pickle(repository.path / "data/entries_aug.pkl") == []  # as it was before

    before = dict(server.answered)
    server.settings.quota = None
    assert repository.stage("translate").returncode == 0
    assert len(load_pickle(repository.path / "data/entries_aug.pkl")) == 8
    assert len(before) > 0 and set(server.answered.values()) == {1}


def test_no_key_is_needed_for_what_is_stored(server: TencentServer, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo", problems(3), changes(server))
    assert repository.stage("translate").returncode == 0
    environment = dict.fromkeys(KEYS, "")
    again = repository.stage("translate", **environment)
    assert again.returncode == 0, again.stderr
    assert "tencent: 0 requests" in again.stdout
