"""The command lines that import torch say what they do and take, as all others do; here, since that takes seconds."""

import pytest

from tests.unit.test_command_lines import check_help_and_what_is_unknown, programs, slow


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of runpy: the module was imported before
@pytest.mark.parametrize("name", [*filter(slow, programs())])
def test_help_and_what_is_unknown(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_help_and_what_is_unknown(name, monkeypatch, capsys)
