"""The processes of a cluster with fake nodes, found on PATH: their command lines, ports and files."""

import json
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from driver.errors import ProviderError

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "openssl")
LOOPBACK = "127.0.0.1"
ISSUER = "https://kubernetes.default.svc"
GRACE_LEASES = 1.25  # of a lease without news of it, and a node is lost: 50 s by default, for leases of 40 s
SCHEDULER_QPS = 50.0  # kube-scheduler's own default


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything of one cluster is."""

    directory: Path
    etcd: str
    etcd_peers: str
    port: int

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def certificate(self) -> Path:
        return self.directory / "tls" / "apiserver.crt"


def missing_programs(names: tuple[str, ...] = PROGRAMS) -> list[str]:
    return [name for name in names if shutil.which(name) is None]


def find_programs(names: tuple[str, ...] = PROGRAMS) -> None:
    """Raises ProviderError that names what is not on PATH."""
    missing = missing_programs(names)
    if missing:
        raise ProviderError(
            f"provider kwok starts {', '.join(names)}; not on PATH: {', '.join(missing)}; install them,"
            " or give --kubeconfig of a cluster"
        )


def lay_out(directory: Path) -> Layout:
    """Files and free ports of a new cluster. Raises OSError, ProviderError."""
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "tls").mkdir(parents=True)
    ports = _free_ports(3)
    layout = Layout(
        directory=directory,
        etcd=f"http://{LOOPBACK}:{ports[0]}",
        etcd_peers=f"http://{LOOPBACK}:{ports[1]}",
        port=ports[2],
    )
    token = secrets.token_hex(16)
    _private(directory / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
    _private(layout.kubeconfig, json.dumps(_kubeconfig(layout, token)))
    made = ["openssl", "genrsa", "-out", str(directory / "sa.key"), "2048"]
    if subprocess.run(made, capture_output=True, check=False).returncode:
        raise ProviderError(f"openssl genrsa could not write {directory / 'sa.key'}")
    return layout


def etcd_command(layout: Layout) -> list[str]:
    flags = {
        "data-dir": layout.directory / "etcd",
        "listen-client-urls": layout.etcd,
        "advertise-client-urls": layout.etcd,
        "listen-peer-urls": layout.etcd_peers,
        "initial-advertise-peer-urls": layout.etcd_peers,
        "initial-cluster": f"default={layout.etcd_peers}",
        "quota-backend-bytes": 8 * 2**30,
    }
    return ["etcd", *_flags(flags), "--unsafe-no-fsync"]  # a cluster that lives for one size need not outlive the power


def api_server_command(layout: Layout) -> list[str]:
    flags = {
        "etcd-servers": layout.etcd,
        "secure-port": layout.port,
        "bind-address": LOOPBACK,
        "advertise-address": LOOPBACK,
        "cert-dir": layout.directory / "tls",
        "token-auth-file": layout.directory / "tokens.csv",
        "service-account-key-file": layout.directory / "sa.key",
        "service-account-signing-key-file": layout.directory / "sa.key",
        "service-account-issuer": ISSUER,
        "service-cluster-ip-range": "10.96.0.0/16",
        "authorization-mode": "Node,RBAC",
        # No pod here asks the API anything; and the nodes are ready when they are made: the taint of one that is not
        # would be taken off at the controllers' pace, 256 in 12 s.
        "disable-admission-plugins": "ServiceAccount,TaintNodesByCondition",
        "endpoint-reconciler-type": "none",  # a loopback address is refused as an endpoint
    }
    return ["kube-apiserver", *_flags(flags)]


def controller_command(layout: Layout, qps: float, lease_seconds: int) -> list[str]:
    flags = {
        "kubeconfig": layout.kubeconfig,
        "leader-elect": "false",
        "bind-address": LOOPBACK,
        "secure-port": _free_ports(1)[0],
        "cert-dir": layout.directory / "controller-manager",
        "service-account-private-key-file": layout.directory / "sa.key",
        "kube-api-qps": qps,
        "kube-api-burst": max(1, round(qps * 1.5)),
        "node-monitor-grace-period": f"{round(lease_seconds * GRACE_LEASES)}s",
        # It tells kubelets how long to keep secrets, by annotations of all nodes that change with their number.
        "controllers": "*,-ttl-controller",
    }
    return ["kube-controller-manager", *_flags(flags)]


def scheduler_command(layout: Layout, qps: float) -> list[str]:
    flags = {
        "kubeconfig": layout.kubeconfig,
        "leader-elect": "false",
        "bind-address": LOOPBACK,
        "secure-port": _free_ports(1)[0],
        "cert-dir": layout.directory / "scheduler",
        "kube-api-qps": qps,
        "kube-api-burst": max(1, round(qps * 2)),
    }
    return ["kube-scheduler", *_flags(flags)]


def kwok_command(kubeconfig: Path, stages: Path, annotation: tuple[str, str], lease_seconds: int) -> list[str]:
    """Of the nodes that bear the annotation it keeps up heartbeat and lease, renewed four times in its time."""
    flags = {
        "kubeconfig": kubeconfig,
        "manage-all-nodes": "false",
        "manage-nodes-with-annotation-selector": "=".join(annotation),
        "server-address": f"{LOOPBACK}:{_free_ports(1)[0]}",
        "node-lease-duration-seconds": lease_seconds,
        "config": stages,
    }
    return ["kwok", *_flags(flags)]


def _flags(flags: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]


def _free_ports(count: int) -> list[int]:
    """Held together until all are known, so that none comes twice."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _kubeconfig(layout: Layout, token: str) -> dict[str, object]:
    cluster = {"server": layout.url, "certificate-authority": str(layout.certificate)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kwok", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "kwok", "context": {"cluster": "kwok", "user": "admin"}}],
        "current-context": "kwok",
    }
