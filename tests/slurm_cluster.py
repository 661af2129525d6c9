"""A real Slurm on this machine, controller and node on 127.0.0.1 alone, for the torture.

    with slurm_cluster.running() as environment:
        subprocess.run(["sbatch", …], env=environment)

From Debian's packages (`apt-get install slurm-wlm munge`), as root. Keys, sockets, states and logs
are in a folder of its own: a Slurm that this machine may be part of is left alone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
SETTINGS = """\
ClusterName=torture
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/node.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SchedulerParameters=sched_interval=2,batch_sched_delay=1
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname={host} CPUs=2 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; empty where there can."""
    if os.geteuid() != 0:
        return "starting Slurm needs root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(absent)} here" if absent else ""


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start the daemons; yields the environment for Slurm's commands. Its end is theirs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        (folder / "state").mkdir()
        key = folder / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        controller, node = _free_ports()
        settings = folder / "slurm.conf"
        settings.write_text(
            SETTINGS.format(
                folder=folder, controller=controller, node=node, host=socket.gethostname()
            )
        )
        environment = os.environ | {"SLURM_CONF": str(settings)}
        state = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "seed", "log")]
        for command in (
            # the folder is root's own, which munged warns of: others could not be told apart
            ["munged", "-F", "--force", f"--key-file={key}", f"--socket={folder}/munge", *state],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-N", "localhost"],
        ):
            log = stack.enter_context((folder / f"{command[0]}.txt").open("w"))
            daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(_ended, daemon)
        until = time.monotonic() + 60
        while not _is_ready(environment):
            if time.monotonic() > until:
                logs = "\n".join(path.read_text() for path in folder.glob("*.txt"))
                raise RuntimeError(f"Slurm does not start:\n{logs}")
            time.sleep(0.2)
        yield environment


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _is_ready(environment: dict[str, str]) -> bool:
    done = subprocess.run(
        ["sinfo", "--noheader", "--format=%t"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split() == ["idle"]


def _ended(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
