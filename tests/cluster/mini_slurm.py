"""A real Slurm cluster on this machine: accounting, a controller and nodes that can lose power.

For tests: as root on Debian, without systemd, loopback addresses only. Every node is a slurmd with
its own host name, port and process namespace, so that killing the namespace is what a power failure
is to Slurm. All nodes see the same files.

By hand::

    python tests/cluster/mini_slurm.py start     # says which SLURM_CONF to export
    python tests/cluster/mini_slurm.py stop      # also removes its state
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "sbatch", "munged", "mariadbd", "mariadb-install-db")
PACKAGES = "slurmctld slurmd slurm-client slurmdbd munge mariadb-server-core mariadb-client-core"
CONTROLLER_PORT, SPOOL_PORT, ACCOUNTING_PORT, DATABASE_PORT = 26817, 26818, 26819, 23306
FIRST_NODE_PORT = 27000
ACCOUNT = "tests"
DATABASE = "slurm_acct"

# Distinct loopback addresses make srun inside a job hang: slurmstepd answers to 127.0.0.1. So all
# names mean 127.0.0.1, and only ports differ. No cgroups: there may be none in a container.
SLURM = """\
ClusterName=mini
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={spool}
AuthType=auth/munge
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/spool/%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.%n.pid
SlurmctldLogFile={state}/log/slurmctld.log
SlurmdLogFile={state}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
AccountingStorageEnforce=associations
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=8
SlurmctldTimeout=8
MessageTimeout=10
KillWait=2
MinJobAge=300
InactiveLimit=0
NodeName=n[1-{nodes}] NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} RealMemory=100000 \
State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

SLURMDBD = """\
AuthType=auth/munge
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser=root
PidFile={state}/slurmdbd.pid
LogFile={state}/log/slurmdbd.log
CommunicationParameters=NoInAddrAny
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc={name}
"""

GRANT = f"""\
CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'slurm';
CREATE USER IF NOT EXISTS slurm@'localhost' IDENTIFIED BY 'slurm';
GRANT ALL ON {DATABASE}.* TO slurm@'127.0.0.1';
GRANT ALL ON {DATABASE}.* TO slurm@'localhost';
"""

# The first process of a node's namespace: it names the host, starts slurmd and reaps orphans. Jobs
# must find the configuration at its usual place: the executor plugin drops their SLURM_CONF.
NODE = """\
mkdir -p /etc/slurm
mount --bind "$1/hosts" /etc/hosts && mount --bind "$1" /etc/slurm && hostname "$2"
slurmd -D -f "$1/slurm.conf" &
while :; do wait -n || sleep 0.5; done
"""


def missing() -> list[str]:
    """What a cluster needs and this machine lacks."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return lacking + (["root"] if os.geteuid() else [])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Return once ``condition()`` holds; raises TimeoutError naming ``what``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.1)


def said(*command: str, environment: dict[str, str] | None = None) -> str:
    """What a command prints; nothing where it fails."""
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=True,
            text=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout


@dataclass(frozen=True)
class MiniSlurm:
    """The cluster whose state lies in the folder ``state``."""

    state: Path
    nodes: int = 3
    cpus: int = 2
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def conf(self) -> Path:
        """What SLURM_CONF must name."""
        return self.state / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of Slurm's commands."""
        return {**os.environ, "SLURM_CONF": str(self.conf)}

    def ask(self, *command: str) -> str:
        """What a Slurm command prints; nothing where it fails."""
        return said(*command, environment=self.environment)

    # ---- the whole

    def start(self) -> None:
        """Start everything, and return when all nodes are idle."""
        self._configure()
        if not said("munge", "-n"):
            self._launch_munge()
        self._launch_database()
        self._launch("slurmdbd", "slurmdbd", "-D")
        wait_until(lambda: self._answers("sacctmgr", "-n", "list", "cluster"), "slurmdbd")
        for words in (
            ("cluster", "mini"),
            ("account", ACCOUNT, "Cluster=mini"),
            ("user", "root", f"Account={ACCOUNT}", f"DefaultAccount={ACCOUNT}"),
        ):
            self.ask("sacctmgr", "-i", "add", *words)
        self.start_controller()
        for number in range(1, self.nodes + 1):
            self.start_node(f"n{number}")
        self.wait_for_nodes()

    def stop(self) -> None:
        """End everything and forget it."""
        for name in [f"n{number}" for number in range(1, self.nodes + 1)]:
            self._end(name, signal.SIGKILL)
        for name in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
            self._end(name, signal.SIGTERM)
        for process in self.started:
            process.poll()  # psutil has waited for it, and it is told so
        shutil.rmtree(self.state, ignore_errors=True)

    def wait_for_nodes(self) -> None:
        """Return when every node can take jobs."""

        def ready() -> bool:
            states = self.ask("sinfo", "-h", "-N", "-o", "%t").split()
            return len(states) == self.nodes and set(states) <= {"idle", "mix", "alloc"}

        wait_until(ready, f"all nodes (logs in {self.state}/log)")

    # ---- its parts

    def start_controller(self) -> None:
        """Start slurmctld, on the state that an earlier one left."""
        self._launch("slurmctld", "slurmctld", "-D", "-f", str(self.conf))
        wait_until(lambda: "UP" in self.ask("scontrol", "ping"), "slurmctld")

    def kill_controller(self) -> None:
        """Kill slurmctld at once."""
        self._end("slurmctld", signal.SIGKILL)

    def start_node(self, node: str) -> None:
        """Switch a node on."""
        (self.state / "spool" / node).mkdir(parents=True, exist_ok=True)
        space = ("unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
        self._launch(node, *space, "bash", "-c", NODE, node, str(self.state), node)

    def kill_node(self, node: str) -> None:
        """Cut a node's power: slurmd and all its jobs are gone at once, without a word."""
        self._end(node, signal.SIGKILL)

    # ---- processes

    def _launch(self, name: str, *command: str) -> None:
        with (self.state / "log" / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.started.append(process)
        born = psutil.Process(process.pid).create_time()
        (self.state / "processes" / name).write_text(json.dumps([process.pid, born]))

    def _end(self, name: str, how: signal.Signals) -> None:
        """End a process that :meth:`_launch` started, and nothing that got its number since."""
        record = self.state / "processes" / name
        try:
            pid, born = json.loads(record.read_text())
            process = psutil.Process(pid)
            if process.create_time() == born:
                process.send_signal(how)
                process.wait(20)
        except (FileNotFoundError, psutil.NoSuchProcess):
            pass
        except psutil.TimeoutExpired:
            process.kill()
        record.unlink(missing_ok=True)

    def _answers(self, *command: str) -> bool:
        ended = subprocess.run(command, env=self.environment, capture_output=True, check=False)
        return ended.returncode == 0

    def _launch_munge(self) -> None:
        folder = self.state / "munge"
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o400)
        Path("/run/munge").mkdir(mode=0o755, exist_ok=True)  # where all clients look
        files = {"key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        options = [f"--{option}={folder / file}" for option, file in files.items()]
        self._launch("munged", "munged", "-F", "--force", *options)
        wait_until(lambda: said("munge", "-n") != "", "munged")

    def _launch_database(self) -> None:
        data, grant = self.state / "mariadb", self.state / "grant.sql"
        subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                "--user=root",
                f"--datadir={data}",
                "--auth-root-authentication-method=socket",
                "--skip-test-db",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        grant.write_text(GRANT)
        settings = {
            "datadir": data,
            "socket": data / "socket",
            "pid-file": data / "pid",
            "bind-address": "127.0.0.1",
            "port": DATABASE_PORT,
            "innodb-buffer-pool-size": "64M",
            "innodb-lock-wait-timeout": 900,
            "innodb-flush-log-at-trx-commit": 0,
            "init-file": grant,
        }
        options = [f"--{key}={value}" for key, value in settings.items()]
        self._launch(
            "mariadbd", "mariadbd", "--no-defaults", "--user=root", "--skip-name-resolve", *options
        )
        port, login = f"--port={DATABASE_PORT}", ("--user=slurm", "--password=slurm")
        client = ("mariadb", "--no-defaults", "--host=127.0.0.1", port, *login)
        wait_until(lambda: self._answers(*client, "--execute=select 1"), "mariadbd")

    def _configure(self) -> None:
        folders = ("processes", "log", "munge", "controller", "spool")
        for folder in ("", *folders):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
            (self.state / folder).chmod(0o755)
        host = os.uname().nodename.split(".")[0]
        values = {
            "host": host,
            "state": self.state,
            "controller": CONTROLLER_PORT,
            "spool": SPOOL_PORT,
            "accounting": ACCOUNTING_PORT,
            "database": DATABASE_PORT,
            "name": DATABASE,
            "nodes": self.nodes,
            "cpus": self.cpus,
            "first": FIRST_NODE_PORT + 1,
            "last": FIRST_NODE_PORT + self.nodes,
        }
        self.conf.write_text(SLURM.format(**values))
        accounting = self.state / "slurmdbd.conf"
        accounting.write_text(SLURMDBD.format(**values))
        accounting.chmod(0o600)
        names = " ".join(f"n{number}" for number in range(1, self.nodes + 1))
        (self.state / "hosts").write_text(f"127.0.0.1 localhost {host} {names}\n")


def main() -> None:
    """Start or stop a cluster by hand."""
    lacking, words = missing(), sys.argv[1:]
    if words not in (["start"], ["stop"]):
        sys.exit(__doc__)
    if lacking:
        sys.exit(f"needs {', '.join(lacking)}; Debian's packages: {PACKAGES}")
    cluster = MiniSlurm(Path("/tmp/descentflow-mini-slurm"))
    if words == ["stop"]:
        cluster.stop()
    else:
        cluster.start()
        print(f"export SLURM_CONF={cluster.conf}")


if __name__ == "__main__":
    main()
