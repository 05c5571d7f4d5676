"""A throw-away Kubernetes API server for tests: etcd and kube-apiserver on loopback.

There is no node: nothing is scheduled and no pod runs. With ``controller_manager=True`` the
built-in controllers run as well (garbage collection, Deployments, Jobs, ServiceAccounts).

    with ApiServer(audit_level="Metadata") as server:
        server.kubectl("get", "namespaces")

The binaries come from the folder that ``KUBEBUILDER_ASSETS`` names, or else from
``python -m e2e.cluster binaries --for tests``, which builds them when they are missing.
"""

import contextlib
import csv
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

AuditLevel = Literal["Metadata", "Request", "RequestResponse"]

ADMIN = "admin"
_ROOT = Path(__file__).resolve().parent.parent
_LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1


class StartError(RuntimeError):
    """A process did not start; the message ends with the tail of its log."""


class ApiServer:
    """etcd and kube-apiserver with RBAC, token authentication and service-account tokens.

    Parameters
    ----------
    controller_manager
        Run kube-controller-manager too. Without it nothing collects garbage and the ServiceAccount
        admission plugin is off, so that pods can be created in a namespace without accounts.
    audit_level
        Write an audit log (one JSON event per finished request) at this level.
    audit_rules
        Audit policy rules that come before the general one.
    users
        Further users by name, with their groups; `token_for` gives their tokens.
    flags
        Further flags of kube-apiserver.
    timeout
        Seconds to wait for each process to become ready.

    Attributes
    ----------
    url, ca, token, kubeconfig
        Where the server is, the file that its certificate is checked with, the token of a user in
        ``system:masters`` and the path of a kubeconfig with all three.
    audit_log
        Path of the audit log, or None.
    folder
        Everything of this server, logs included; removed by `stop`.
    """

    url: str
    ca: Path
    token: str
    kubeconfig: Path
    audit_log: Path | None
    folder: Path

    def __init__(
        self,
        *,
        controller_manager: bool = False,
        audit_level: AuditLevel | None = None,
        audit_rules: Sequence[Mapping[str, Any]] = (),
        users: Mapping[str, Sequence[str]] | None = None,
        flags: Sequence[str] = (),
        timeout: float = 60,
    ) -> None:
        self._controller_manager = controller_manager
        self._audit_level = audit_level
        self._audit_rules = audit_rules
        self._users = {ADMIN: ["system:masters"], **(users or {})}
        self._tokens = {user: secrets.token_urlsafe(24) for user in self._users}
        self._flags = flags
        self._timeout = timeout
        self._processes: list[subprocess.Popen[bytes]] = []
        self.token = self._tokens[ADMIN]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until ``/readyz`` answers.

        Raises
        ------
        StartError
            When a process ends early or is not ready in time.
        """
        self._binaries = binaries()
        try:
            self._start()
        except StartError as error:
            self.stop()
            # A port is free when it is chosen, and may be taken when it is used.
            if "address already in use" not in str(error):
                raise
            try:
                self._start()
            except BaseException:
                self.stop()
                raise
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill what was started and remove its files. May be called twice."""
        # Nothing here is kept, and a graceful stop waits for every open watch.
        for process in reversed(self._processes):
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes.clear()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pids(self) -> list[int]:
        """The processes of this server."""
        return [process.pid for process in self._processes]

    def token_for(self, user: str) -> str:
        """Return the token of a user that was named in ``users``.

        For a service account see `service_account_token`.

        Raises
        ------
        KeyError
            When the user was not named: the server reads its token file only when it starts.
        """
        return self._tokens[user]

    def service_account_token(self, namespace: str, name: str, *, hours: int = 24) -> str:
        """Return a new token for an existing service account."""
        command = ("create", "token", name, "--namespace", namespace, f"--duration={hours}h")
        return self.kubectl(*command).strip()

    def kubeconfig_for(self, user: str, token: str) -> Path:
        """Write a kubeconfig for this server with another token, and return its path."""
        path = self.folder / f"kubeconfig-{user.replace(':', '-').replace('/', '-')}"
        path.write_text(json.dumps(_kubeconfig(self.url, self.ca, user, token)))
        path.chmod(0o600)
        return path

    def kubectl(self, *args: str, input: str | None = None, timeout: float = 60) -> str:
        """Run kubectl as the administrator and return what it printed.

        Raises
        ------
        subprocess.CalledProcessError
            When it fails; what it said on stderr is in the notes of the exception.
        """
        own = self._binaries / "kubectl"
        command = str(own) if own.exists() else "kubectl"
        try:
            done = subprocess.run(
                [command, f"--kubeconfig={self.kubeconfig}", *args],
                input=input,
                capture_output=True,
                text=True,
                check=True,
                timeout=timeout,
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            )
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr.strip())
            raise
        return done.stdout

    def _start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="apiserver-"))
        etcd_port, port, manager_port = free_ports(3)
        self.url = f"https://{_LOOPBACK}:{port}"
        # The server signs its own certificate and writes the signer behind it in the same file.
        self.ca = self.folder / "certs" / "apiserver.crt"
        self.audit_log = self.folder / "audit.log" if self._audit_level else None
        self.kubeconfig = self.kubeconfig_for(ADMIN, self.token)
        self._write_files()

        etcd = self._spawn("etcd", _etcd_flags(self.folder, etcd_port))
        apiserver = self._spawn("kube-apiserver", self._apiserver_flags(etcd_port, port))
        self._wait([etcd, apiserver], f"{self.url}/readyz", self.ca)
        if self._controller_manager:
            manager = self._spawn("kube-controller-manager", self._manager_flags(manager_port))
            self._wait([manager], f"https://{_LOOPBACK}:{manager_port}/healthz", None)

    def _write_files(self) -> None:
        (self.folder / "service-account.key").write_text(_private_key())
        with (self.folder / "tokens.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            for user, groups in self._users.items():
                rows.writerow([self._tokens[user], user, user, ",".join(groups)])
        if self.audit_log is not None:
            # A server that is killed early would otherwise leave a reader without a file.
            self.audit_log.touch()
            policy = _audit_policy(self._audit_level, self._audit_rules)
            (self.folder / "audit-policy.json").write_text(json.dumps(policy))

    def _apiserver_flags(self, etcd_port: int, port: int) -> list[str]:
        folder = self.folder
        flags = [
            f"--etcd-servers=http://{_LOOPBACK}:{etcd_port}",
            f"--bind-address={_LOOPBACK}",
            f"--advertise-address={_LOOPBACK}",
            f"--secure-port={port}",
            f"--cert-dir={folder / 'certs'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={folder / 'service-account.key'}",
            f"--service-account-signing-key-file={folder / 'service-account.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            # Endpoints of the `kubernetes` Service may not be loopback addresses.
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            "--profiling=false",
        ]
        if not self._controller_manager:
            flags.append("--disable-admission-plugins=ServiceAccount")
        if self.audit_log is not None:
            flags += [
                f"--audit-policy-file={folder / 'audit-policy.json'}",
                f"--audit-log-path={self.audit_log}",
                "--audit-log-maxsize=100000",  # megabytes; a rotation would lose the reader
            ]
        return [*flags, *self._flags]

    def _manager_flags(self, port: int) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--bind-address={_LOOPBACK}",
            f"--secure-port={port}",
            f"--cert-dir={self.folder / 'manager-certs'}",
            "--leader-elect=false",
            f"--root-ca-file={self.ca}",
            f"--service-account-private-key-file={self.folder / 'service-account.key'}",
            "--use-service-account-credentials=true",
        ]

    def _spawn(self, name: str, flags: Sequence[str]) -> subprocess.Popen[bytes]:
        binary = self._binaries / name
        if not binary.exists():
            raise StartError(f"{name} is not in {self._binaries}")
        process = spawn([str(binary), *flags], log=self.folder / f"{name}.log")
        self._processes.append(process)
        return process

    def _wait(
        self, processes: Sequence[subprocess.Popen[bytes]], url: str, ca: Path | None
    ) -> None:
        def ready() -> bool:
            if ca is not None and not ca.exists():
                return False
            return _answers(url, self.token, ca)

        try:
            wait_until(ready, processes=processes, timeout=self._timeout)
        except (TimeoutError, ChildProcessError) as error:
            raise StartError(f"{url}: {error}\n{self.log_tails()}") from error

    def log_tails(self, lines: int = 15) -> str:
        """Return the ends of the processes' logs."""
        tails = []
        for log in sorted(self.folder.glob("*.log")):
            if log != self.audit_log:
                tail = log.read_text(errors="replace").splitlines()[-lines:]
                tails.append("\n".join([f"--- {log.name}", *tail]))
        return "\n".join(tails)


def binaries() -> Path:
    """Return the folder that holds etcd and kube-apiserver; may build them (minutes).

    Raises
    ------
    StartError
        When they can neither be found nor built.
    """
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(assets).resolve()
    command = [sys.executable, "-m", "e2e.cluster", "binaries", "--for", "tests"]
    # Progress goes to stderr, where a person waits for it; the answer is the last line of stdout.
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise StartError(f"`{' '.join(command[1:])}` failed: set KUBEBUILDER_ASSETS")
    return Path(lines[-1])


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that does not outlive this one.

    A session of its own, because Ctrl-C reaches a whole process group: the caller's clean-up
    decides, not the terminal.
    """
    # The signal comes when the *thread* that started the process ends, so only the main thread,
    # which ends with the process, may ask for it.
    bound = threading.current_thread() is threading.main_thread()
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_die_with_parent if bound else None,  # noqa: PLW1509
        )


def wait_until(
    condition: Callable[[], bool],
    *,
    processes: Sequence[subprocess.Popen[bytes]] = (),
    timeout: float,
    interval: float = 0.05,
) -> None:
    """Poll a condition.

    Raises
    ------
    TimeoutError
        After ``timeout`` seconds.
    ChildProcessError
        When one of the processes has ended.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        for process in processes:
            if process.poll() is not None:
                name = Path(str(process.args[0])).name if isinstance(process.args, list) else "?"
                raise ChildProcessError(f"{name} ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready after {timeout:g} s")
        time.sleep(interval)


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nothing listens on now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _answers(url: str, token: str, ca: Path | None) -> bool:
    if ca is None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        try:
            context = ssl.create_default_context(cafile=str(ca))
        except (OSError, ssl.SSLError):  # half written
            return False
    request = urllib.request.Request(url)
    if ca is not None:
        request.add_header("Authorization", f"Bearer {token}")
    handler = urllib.request.HTTPSHandler(context=context)
    # Without a proxy handler of its own the opener would take the proxy of the environment.
    opener = urllib.request.build_opener(handler, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _etcd_flags(folder: Path, port: int) -> list[str]:
    client = f"http://{_LOOPBACK}:{port}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls=http://{_LOOPBACK}:0",
        "--unsafe-no-fsync",  # the data is thrown away
        f"--quota-backend-bytes={8 << 30}",
        "--log-level=warn",
    ]


def _audit_policy(level: str | None, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "omitManagedFields": True,
        "rules": [*rules, {"level": level}],
    }


def _kubeconfig(url: str, ca: Path, user: str, token: str) -> dict[str, Any]:
    # JSON is YAML, and the standard library can write it.
    cluster = {"server": url, "certificate-authority": str(ca)}
    context = {"cluster": "test", "user": user, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "test", "context": context}],
    }


def _private_key() -> str:
    """Return a new P-256 key as PEM (SEC 1, without the public point: readers compute it)."""
    scalar = (secrets.randbelow(2**255 - 1) + 1).to_bytes(32, "big")
    curve = bytes.fromhex("a00a06082a8648ce3d030107")
    der = b"\x30\x31\x02\x01\x01\x04\x20" + scalar + curve
    body = b64encode(der).decode()
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN EC PRIVATE KEY-----", *lines, "-----END EC PRIVATE KEY-----", ""])


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
