"""Keys, certificates and kubeconfigs, made with openssl."""

import base64
import json
from pathlib import Path

from e2e.cluster.paths import STATE
from e2e.cluster.shell import put, run

PKI = STATE / "pki"
CA = PKI / "ca.crt"
CA_KEY = PKI / "ca.key"
SERVICE_ACCOUNT_KEY = PKI / "service-accounts.key"
_DAYS = "3650"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_ca() -> None:
    """Make the certificate authority and the key of service accounts, once.

    Raises
    ------
    ClusterError
        When openssl fails.
    """
    PKI.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not CA.exists():
        usage = _usage("critical,CA:TRUE", "keyCertSign,cRLSign")
        _openssl(CA, CA_KEY, "/CN=ondol-local", *usage)
    if not SERVICE_ACCOUNT_KEY.exists():
        # ecparam, not genpkey: the API server reads a public key out of the older format only.
        curve = ("-name", "prime256v1", "-genkey", "-noout")
        run("openssl", "ecparam", *curve, "-out", SERVICE_ACCOUNT_KEY)


def certificate(name: str, *, user: str, group: str = "", hosts: str = "") -> tuple[Path, Path]:
    """Return a certificate and its key, made once; ``hosts`` such as ``DNS:a,IP:10.0.0.1``.

    Raises
    ------
    ClusterError
        When openssl fails.
    """
    crt, key = PKI / f"{name}.crt", PKI / f"{name}.key"
    if not crt.exists():
        subject = f"/O={group}/CN={user}" if group else f"/CN={user}"
        names = ("-addext", f"subjectAltName={hosts}") if hosts else ()
        usage = _usage("CA:FALSE", "digitalSignature")
        extended = ("-addext", "extendedKeyUsage=serverAuth,clientAuth")
        _openssl(crt, key, subject, "-CA", CA, "-CAkey", CA_KEY, *usage, *extended, *names)
    return crt, key


def write(path: Path, *, server: str, user: str, group: str = "") -> Path:
    """Write a kubeconfig with everything in it for ``user`` and return its path.

    Raises
    ------
    ClusterError
        When openssl fails.
    """
    crt, key = certificate(user.replace(":", "-"), user=user, group=group)
    cluster = {"server": server, "certificate-authority-data": _base64(CA)}
    credentials = {"client-certificate-data": _base64(crt), "client-key-data": _base64(key)}
    name = "ondol-local"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    put(path, json.dumps(document, indent=1), mode=0o600)
    return path


def _usage(basic: str, key: str) -> tuple[str, ...]:
    return ("-addext", f"basicConstraints={basic}", "-addext", f"keyUsage={key}")


def _openssl(crt: Path, key: Path, subject: str, *options: str | Path) -> None:
    files = ("-keyout", key, "-out", crt)
    run("openssl", "req", "-x509", *_NEW_KEY, *files, "-subj", subject, "-days", _DAYS, *options)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
