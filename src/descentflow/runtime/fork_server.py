"""Serve forks: a process that has imported the stages' modules, and forks for every job of a run.

A stage's imports and the start of Numba take two seconds, the work of many jobs a tenth of one. Where
the variable DESCENTFLOW_FORK_SERVER names such a process, a stage's command sends it its arguments,
working directory, variables and standard streams, and waits for the status. The command does the work
itself where that process is gone, fails, or belongs to another environment. The forked job ends when
its command is killed. Limits and priorities are those of the run, not of the command. Linux only:
elsewhere forks after such imports are not safe. Only the standard library is imported here.
"""

import gc
import json
import os
import secrets
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from descentflow.runtime.lifetime import end_with_head

VARIABLE = "DESCENTFLOW_FORK_SERVER"
STREAMS = (0, 1, 2)
LENGTH = struct.Struct("!I")
PEER = struct.Struct("3i")
MAX_SECONDS = 5.0
"""Time in which a command must send its request: no other is served meanwhile."""

STARTED = b"started"
KILLED = "error: the process of this job was killed"


@contextmanager
def serve_forks(*inherited: int) -> Iterator[dict[str, str]]:
    """Keep a server for the block; give the variable by which commands find it, if any.

    The server and its forks inherit these file descriptors, such as a lock's.
    """
    if not sys.platform.startswith("linux"):
        yield {}
        return
    name = f"descentflow-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen(socket.SOMAXCONN)
        handle = listener.fileno()
        command = [sys.executable, "-m", "descentflow.runtime.fork_server", str(handle)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[handle, *inherited])
    try:
        yield {VARIABLE: f"{name}{os.pathsep}{sys.prefix}"}
    finally:
        server.communicate()


def delegate(modules: Sequence[str]) -> int | None:
    """Let the server run this command: ``STAGE`` of the first module, all of them imported before.

    Return the exit status, None where there is no server.
    """
    name, _, prefix = os.environ.get(VARIABLE, "").partition(os.pathsep)
    if not name or prefix != sys.prefix:
        return None
    request = {
        "modules": modules,
        "arguments": sys.argv[1:],
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    data = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(f"\0{name}")
            socket.send_fds(connection, [LENGTH.pack(len(data))], STREAMS)
            connection.sendall(data)
        except OSError:
            return None
        if _receive(connection, len(STARTED)) != STARTED:
            return None
        status = _receive(connection, 1)
    if not status:
        print(KILLED, file=sys.stderr)
        return 1
    return status[0]


def _receive(connection: socket.socket, length: int) -> bytes:
    """Return so many bytes, or none where the other side ends."""
    try:
        return connection.recv(length, socket.MSG_WAITALL)
    except ConnectionError:
        return b""


def _serve(listener: socket.socket) -> None:
    """Fork for every command that connects, until standard input is closed."""
    end_with_head()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's end closes standard input
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for jobs but their commands
    own = dict(os.environ)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in selector.select()):
            connection, _ = listener.accept()
            with connection, suppress(Exception):
                # After a failure here the command does the work itself, and says what fails.
                _fork(connection, listener, own)


def _fork(connection: socket.socket, listener: socket.socket, own: Mapping[str, str]) -> None:
    """Import the job's modules, and fork; in the fork, run the job."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    if PEER.unpack(credentials)[1] != os.getuid():
        return
    connection.settimeout(MAX_SECONDS)
    head, streams, _, _ = socket.recv_fds(connection, LENGTH.size, len(STREAMS))
    try:
        with connection.makefile("rb") as file:
            request = json.loads(file.read(LENGTH.unpack(head)[0]))
        connection.settimeout(None)
        _prepare(request["modules"])
        if os.fork() == 0:
            listener.close()  # or commands would wait for a server that is gone
            _run_job(request, streams, connection, own)
    finally:
        for stream in streams:
            os.close(stream)


def _prepare(modules: Sequence[str]) -> None:
    """Import modules, and let Numba find its own, which it does at the first call."""
    for module in modules:
        import_module(module)
    if "descentflow.simd.load_store" in sys.modules:
        sys.modules["descentflow.simd.load_store"].padded(1)
    gc.freeze()  # the collector would write to, and so copy, every page of the fork


def _run_job(
    request: dict[str, Any], streams: list[int], connection: socket.socket, own: Mapping[str, str]
) -> NoReturn:
    """Run the stage as its command would, send the status, and end."""
    status = 1
    try:
        connection.sendall(STARTED)
        _adopt(request, streams, own)
        threading.Thread(target=_exit_with, args=(connection,), daemon=True).start()
        sys.modules[request["modules"][0]].STAGE.main()
        status = 0
    except SystemExit as end:
        status = end.code & 0xFF if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        with suppress(OSError):
            connection.sendall(bytes([status]))
        os._exit(status)


def _adopt(request: dict[str, Any], streams: list[int], own: Mapping[str, str]) -> None:
    """Adopt signals, standard streams, folder, variables and arguments of the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for stream, standard in zip(streams, STREAMS, strict=True):
        os.dup2(stream, standard)
    os.chdir(request["folder"])
    # Variables that the imports have set stay; those that differ in the command are taken.
    changed = {k: v for k, v in request["environment"].items() if own.get(k) != v}
    _limit_threads(changed.pop("NUMBA_NUM_THREADS", ""))
    os.environ.update(changed)
    sys.argv[1:] = request["arguments"]


def _limit_threads(count: str) -> None:
    """Limit Numba's threads; it has read its variable long ago, and refuses another value now."""
    if count and "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(int(count), numba.config.NUMBA_NUM_THREADS))


def _exit_with(connection: socket.socket) -> None:
    """End at once when the command at the other end is gone."""
    if not connection.recv(1):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
