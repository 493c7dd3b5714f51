"""Model folders that are damaged, odd or hostile end with a message; `make bench PART=attack` tries all of them."""

from pathlib import Path

import pytest

from augen.core.errors import AugenError
from tests.folders import Case, cases, make, use

EACH = 7  # of so many cases one is tried here; of the chat templates, which cost nothing, all
TRIED = [case for number, case in enumerate(cases()) if number % EACH == 0 or case.part == "chat"]


@pytest.mark.parametrize("case", TRIED, ids=[f"{case.part}: {case.what}"[:60] for case in TRIED])
def test_a_folder_is_used_or_refused(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make(case, tmp_path)
    try:
        use(case.part, folder)
    except AugenError as error:
        assert str(folder) in str(error), error
        assert len(str(error)) < 1000
    assert not Path("made").exists()


@pytest.mark.parametrize(
    "what", ["weights of other names", "weights of other shapes", "weights that are no numbers", "no weights"]
)
@pytest.mark.parametrize("part", ["generator", "scorer", "embedder", "adapter"])
def test_weights_that_are_none_are_never_made_up(part: str, what: str, tmp_path: Path) -> None:
    [case] = [case for case in cases() if (case.part, case.what) == (part, what)]
    with pytest.raises(AugenError):
        use(part, make(case, tmp_path))


@pytest.mark.parametrize("part", ["generator", "scorer", "embedder", "adapter"])
def test_sound_folders_are_used(part: str, tmp_path: Path) -> None:
    use(part, make(Case(part, "sound", lambda folder: None), tmp_path))
