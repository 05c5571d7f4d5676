"""The operator's process: started, asked for its use of CPU and memory, stopped."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.apiserver import free_ports, spawn, wait_until
from e2e.bench.config import LOAD_NAMESPACE, Operator

TICKS = os.sysconf("SC_CLK_TCK")


class OperatorError(RuntimeError):
    """The operator did not start, or ended; the message holds the end of its log."""


@dataclass(frozen=True)
class Stat:
    """What /proc/PID/stat says of a process; ``cpu`` in seconds, ended children included."""

    pid: int
    parent: int
    cpu: float


def parse_stat(text: str, ticks: int = TICKS) -> Stat:
    """Read a line of /proc/PID/stat."""
    pid, _, rest = text.partition(" (")
    # The command may hold blanks and parentheses, so the fields start after the last one.
    fields = rest.rpartition(")")[2].split()
    used = sum(int(value) for value in fields[11:15])  # utime, stime, cutime, cstime
    return Stat(int(pid), int(fields[1]), used / ticks)


def parse_peak(status: str) -> float:
    """Read the peak resident set, in MiB, in the text of /proc/PID/status; 0 without one."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def family(stats: Mapping[int, Stat], root: int) -> list[Stat]:
    """Return a process and all its descendants."""
    found = [stats[root]] if root in stats else []
    for one in found:  # grows while it is walked
        found += [stat for stat in stats.values() if stat.parent == one.pid]
    return found


def living(root: int) -> list[Stat]:
    """Return a process and its descendants that live now."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            stat = parse_stat(path.read_text())
            stats[stat.pid] = stat
    return family(stats, root)


def family_cpu(*roots: int) -> float:
    """Return the CPU seconds that processes and their descendants have used."""
    return sum(stat.cpu for root in roots for stat in living(root))


class OperatorProcess:
    """The operator and the processes that it starts."""

    def __init__(self, operator: Operator, kubeconfig: Path, folder: Path) -> None:
        self._operator = operator
        self._values = {
            "kubeconfig": str(kubeconfig),
            "namespace": LOAD_NAMESPACE,
            "python": sys.executable,
        }
        self._folder = folder
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; does not wait."""
        self._starts += 1
        self._log = self._folder / f"operator-{self._starts}.log"
        self._values["port"] = str(free_ports(1)[0])
        # Programs that are installed beside the interpreter are found without activation.
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        given = {key: self._fill(value) for key, value in self._operator.env.items()}
        env = {**os.environ, "PATH": search, **given}
        command = [self._fill(part) for part in self._operator.command]
        try:
            self._process = spawn(command, log=self._log, env=env, cwd=self._operator.cwd)
        except OSError as error:
            raise OperatorError(f"{command[0]}: {error}") from error

    def wait_ready(self) -> None:
        """Wait until it says that it is ready.

        Raises
        ------
        OperatorError
            When it does not in time, or ends.
        """
        assert self._process is not None
        try:
            wait_until(
                self._is_ready,
                processes=[self._process],
                timeout=self._operator.ready_timeout,
                interval=0.02,
            )
        except (TimeoutError, ChildProcessError) as error:
            raise OperatorError(f"the operator: {error}\n{self.log_tail()}") from error

    def check(self) -> None:
        """Raise an error when it has ended.

        Raises
        ------
        OperatorError
            When it has.
        """
        if self._process is None or self._process.poll() is not None:
            raise OperatorError(f"the operator ended\n{self.log_tail()}")

    def stop(self, timeout: float = 20) -> None:
        """Ask it to end, and kill what is left after ``timeout`` seconds."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def cpu_seconds(self) -> float:
        """Return user and system time since the start, of the whole family."""
        return sum(stat.cpu for stat in self._family())

    def peak_rss_mb(self) -> float:
        """Return the sum of the peaks of the family's living processes, in MiB."""
        peaks = []
        for stat in self._family():
            with contextlib.suppress(OSError):
                peaks.append(parse_peak(Path(f"/proc/{stat.pid}/status").read_text()))
        return sum(peaks)

    def log_tail(self, lines: int = 25) -> str:
        """Return the end of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _family(self) -> list[Stat]:
        self.check()
        assert self._process is not None
        return living(self._process.pid)

    def _fill(self, text: str) -> str:
        # Not str.format: a command line may hold other braces.
        for key, value in self._values.items():
            text = text.replace("{" + key + "}", value)
        return text

    def _is_ready(self) -> bool:
        if self._operator.ready_line:
            text = self._log.read_text(errors="replace")
            return re.search(self._operator.ready_line, text, re.MULTILINE) is not None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(self._fill(self._operator.ready_url), timeout=2) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False
