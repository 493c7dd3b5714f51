"""Two people, one remote: what one of them made the other gets without running a stage. Real servers, real DVC.

The repository is the project's own, with small params. `prepare` and `translate` run for real; the stages behind them
would take minutes, so their outs are stand-ins of the right names and kinds, recorded with `dvc commit`: what is
tested is how outs travel, and no file of a model is looked into.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from augen.entries.pickles import load_pickle
from tests.params import change_params, write_params
from tests.remotes import BUCKET, Remote, missing, remote_of, s3_client

ROOT = Path(__file__).parents[2]
KINDS = ("folder", "ssh", "s3")
OUTS = ["data/upload.jsonl", "data/samples.jsonl", "models/adapter/adapter_model.safetensors", "data/entries_aug.pkl"]
ADAPTER, ALTERED = b"a stand-in for an adapter", b"a stand-in for a stranger"  # of the same length
SMALL = {"prepare.limit": 12, "prepare.synthetic": 3}
RESTORED = "is cached - skipping run, checking out outputs"


class Clone:
    """A working tree with its own DVC cache; commands run in it as a user would type them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUGEN_", "DVC_", "AWS_"))}
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_AUTHOR_NAME": "t",
            "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "t",
            "GIT_COMMITTER_EMAIL": "t@example.org",
            **environment,
        }

    @classmethod
    def of(cls, origin: Path, folder: Path, environment: dict[str, str]) -> "Clone":
        subprocess.run(["git", "clone", "-q", str(origin), str(folder)], check=True)
        return cls(folder, environment)

    def run(self, *command: str, fails: bool = False) -> str:
        """What `command` says on both outputs; the test fails if it does not end as expected."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)


def stages_run(log: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", log)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A repository in which everything is made, and nothing is pushed."""
    clone = Clone.of(ROOT, tmp_path_factory.mktemp("sharing") / "made", {})
    write_params(clone.folder / "params.yaml", SMALL)
    assert stages_run(clone.run("dvc", "repro", "translate")) == ["prepare", "translate"]

    pipeline = YAML(typ="safe").load(clone.read("dvc.yaml"))["stages"]
    later = [name for name in pipeline if name not in ("pretrain", "prepare", "translate")]
    for stage in later:
        for kind in ("outs", "metrics"):
            for out in pipeline[stage].get(kind, []):
                stand_in(clone.folder / (out if isinstance(out, str) else next(iter(out))))
    clone.run("dvc", "commit", "-f", *later)
    clone.commit("everything is made")
    return clone


def stand_in(path: Path) -> None:
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a stand-in for {path.name}\n", encoding="utf-8")
    else:
        path.mkdir(parents=True)
        (path / f"{path.name}_model.safetensors").write_bytes(ADAPTER if path.name == "adapter" else b"weights")
        (path / "config.json").write_text("{}\n", encoding="utf-8")


class Shared:
    """The first clone after it has pushed to a remote, and where others clone it from."""

    def __init__(self, kind: str, remote: Remote, first: Clone, folder: Path) -> None:
        self.kind, self.remote, self.first, self.folder = kind, remote, first, folder

    def clone(self, name: str) -> Clone:
        return Clone.of(self.first.folder, self.folder / name, self.remote.environment)

    def tamper(self, old: bytes, new: bytes) -> None:
        """Replace the one file with the content `old` on the remote."""
        if self.kind == "s3":
            client = s3_client(self.remote.options["endpointurl"])
            keys = [found["Key"] for found in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
            [key] = [k for k in keys if client.get_object(Bucket=BUCKET, Key=k)["Body"].read() == old]
            client.put_object(Bucket=BUCKET, Key=key, Body=new)
        else:
            files = [path for path in (self.folder / "server/remote").rglob("*") if path.is_file()]
            [file] = [path for path in files if path.read_bytes() == old]
            file.chmod(0o644)
            file.write_bytes(new)


@pytest.fixture(scope="module", params=KINDS)
def shared(request: pytest.FixtureRequest, made: Clone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The story so far: the first of the two has set a remote (as docs/SHARING.md says) and pushed."""
    kind = request.param
    if reason := missing(kind):
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(kind)
    with remote_of(kind, folder / "server") as remote:
        first = Clone(folder / "first", remote.environment)
        shutil.copytree(made.folder, first.folder, symlinks=True)
        first.run("dvc", "remote", "add", "-d", "team", remote.url)
        for name, value in {**remote.options, "verify": "true"}.items():
            first.run("dvc", "remote", "modify", "team", name, value)
        first.commit("a remote")
        assert "files pushed" in first.run("dvc", "push", "--run-cache")
        yield Shared(kind, remote, first, folder)


def test_a_second_clone_gets_everything_without_running_a_stage(shared: Shared) -> None:
    second = shared.clone("second")
    second.run("dvc", "pull", "--run-cache")
    for path in OUTS:
        assert second.read(path) == shared.first.read(path), path
    log = second.run("dvc", "repro")
    assert stages_run(log) == []
    assert "everything that is there is what dvc.lock says" in second.run("python", "-m", "tools.artifacts")

    # The run cache knows what stages made of what, also where dvc.lock is lost.
    (second.folder / "dvc.lock").unlink()
    for name in ("entries_raw.pkl", "dev.jsonl", "entries_aug.pkl"):
        (second.folder / "data" / name).unlink()
    log = second.run("dvc", "repro", "translate")
    assert stages_run(log) == []
    assert log.count(RESTORED) == 2
    assert second.read("data/entries_aug.pkl") == shared.first.read("data/entries_aug.pkl")


def test_an_artifact_that_was_altered_on_the_remote_is_refused_by_name(shared: Shared) -> None:
    shared.tamper(ADAPTER, ALTERED)
    try:
        careful = shared.clone("careful")
        log = careful.run("dvc", "pull", fails=True)
        assert re.search(r"Checkout failed for following targets:\s+models/adapter\n", log), log
        assert not (careful.folder / "models/adapter").exists()
        assert (careful.folder / "data/upload.jsonl").is_file(), "the others are there"

        # Without `verify` DVC takes the file for what it was; the bytes tell.
        careless = shared.clone("careless")
        careless.run("dvc", "remote", "modify", "--local", "team", "verify", "false")
        careless.run("dvc", "pull", "models/adapter")
        assert careless.read("models/adapter/adapter_model.safetensors") == ALTERED
        log = careless.run("python", "-m", "tools.artifacts", fails=True)
        assert "models/adapter/adapter_model.safetensors: is not what dvc.lock says" in log
    finally:
        shared.tamper(ALTERED, ADAPTER)


def test_one_file_for_another_repository(shared: Shared) -> None:
    other = Clone(shared.folder / "other", shared.remote.environment)
    other.folder.mkdir()
    other.run("git", "init", "-q")
    other.run("dvc", "init", "-q")
    source, path = str(shared.first.folder), "data/entries_aug.pkl"
    other.run("dvc", "get", source, path, "-o", "got.pkl")
    assert other.read("got.pkl") == shared.first.read(path)
    assert load_pickle(other.folder / "got.pkl")

    other.run("dvc", "import", source, path, "-o", "imported.pkl")
    assert other.read("imported.pkl") == shared.first.read(path)
    assert f"path: {path}" in other.read("imported.pkl.dvc").decode()


def test_an_experiment_travels(shared: Shared) -> None:
    if shared.kind != "ssh":
        pytest.skip("experiments travel through Git and the same remote: one kind is enough")
    first, hub = shared.first, shared.folder / "hub.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(first.folder), str(hub)], check=True)
    first.run("git", "remote", "add", "hub", str(hub))
    log = first.run("dvc", "exp", "run", "--name", "fewer-words", "-S", "translate.rate=0.2", "translate")
    assert stages_run(log) == ["translate"]
    first.run("dvc", "exp", "push", "hub", "fewer-words")

    second = Clone.of(hub, shared.folder / "experimenter", shared.remote.environment)
    second.run("dvc", "exp", "pull", "origin", "fewer-words")
    second.run("dvc", "exp", "apply", "fewer-words")
    assert b"rate: 0.2" in second.read("params.yaml")
    assert second.read("data/entries_aug.pkl") == first.read("data/entries_aug.pkl")


def test_a_frozen_stage_does_not_run_for_whoever_has_no_key(shared: Shared) -> None:
    """What docs/SHARING.md says of paid stages: frozen, they are never run again, whatever changes before them."""
    if shared.kind != "folder":
        pytest.skip("freezing does not depend on the remote")
    first = shared.first
    shutil.copytree(first.folder, shared.folder / "payer")
    payer = Clone(shared.folder / "payer", {})
    payer.run("dvc", "freeze", "translate")
    payer.commit("translate is paid for")

    teammate = Clone.of(payer.folder, shared.folder / "teammate", {})
    teammate.run("dvc", "pull")
    change_params(teammate.folder / "params.yaml", {"translate.backend": "tencent"})
    log = teammate.run("dvc", "repro", "translate")
    assert stages_run(log) == []
    assert teammate.read("data/entries_aug.pkl") == first.read("data/entries_aug.pkl")


def test_a_wrong_key_gets_nothing(shared: Shared) -> None:
    if shared.kind != "s3":
        pytest.skip("this is about S3's signatures")
    stranger = shared.clone("stranger")
    stranger.environment["AWS_SECRET_ACCESS_KEY"] = "guessed"
    stranger.run("dvc", "pull", "data/upload.jsonl", fails=True)
    assert not (stranger.folder / "data/upload.jsonl").exists()
