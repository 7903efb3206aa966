"""Credentials that are being renewed at the moment of reading are an error of one line, or the ones before."""

import json
import os
import re
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
from kubernetes_asyncio.config import incluster_config

from pullstudy.kube.access import Access
from pullstudy.kube.errors import KubeconfigError
from tests.collector.polling import until

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:1"}}}}]
users: [{{name: u, user: {{client-certificate: {directory}/tls.crt, client-key: {directory}/tls.key}}}}]
"""
CALLING = "users: [{{name: u, user: {{exec: {plugin}}}}}]"


async def test_a_certificate_that_does_not_fit_its_key_yet_is_an_error_of_the_kubeconfig(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text("half of a certificate")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(directory=tmp_path))
    with pytest.raises(KubeconfigError, match="its certificates cannot be used"):
        await Access(kubeconfig=str(kubeconfig)).make_client()


@pytest.mark.parametrize("text", ["", "garbage", "[]", "clusters: [a]", "contexts: 7"])
async def test_a_file_that_is_no_kubeconfig_is_said_to_be_none_in_our_words(tmp_path: Path, text: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(text)
    with pytest.raises(KubeconfigError) as raised:
        await Access(kubeconfig=str(kubeconfig)).make_client()
    assert str(kubeconfig) in str(raised.value)
    assert not re.search("object|indices|item|NoneType", str(raised.value))


async def test_a_kubeconfigs_command_that_does_not_end_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    kubeconfig, pid = tmp_path / "kubeconfig", tmp_path / "pid"
    command = ["-c", f"echo $$ > {pid}; exec sleep 600"]
    plugin = f"{{apiVersion: client.authentication.k8s.io/v1, command: sh, args: {json.dumps(command)}}}"
    kubeconfig.write_text(KUBECONFIG.format(directory=tmp_path).partition("users:")[0] + CALLING.format(plugin=plugin))
    with pytest.raises(KubeconfigError, match=r"its command did not end within 0\.5 s"):
        await Access(kubeconfig=str(kubeconfig), login_seconds=0.5).make_client()
    await until(lambda: pid.exists() and bool(pid.read_text()))
    process = int(pid.read_text())
    os.kill(process, signal.SIGKILL)
    await until(lambda: not Path(f"/proc/{process}").exists())


@pytest.fixture
def service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that a pod has them in."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", certifi.where())  # nothing is asked of them
    monkeypatch.setattr(incluster_config, "TOKEN_REFRESH_PERIOD", timedelta(0))
    (tmp_path / "token").write_text("first")
    return tmp_path


@pytest.mark.parametrize("spoil", [lambda token: token.write_text(""), Path.unlink], ids=["empty", "gone"])
async def test_a_token_whose_file_cannot_be_read_goes_on_until_the_file_has_another(
    service_account: Path, spoil: Callable[[Path], Any]
) -> None:
    token = service_account / "token"
    client = await Access(in_cluster=True).make_client()
    try:
        assert client.configuration.host == "https://[::1]:443"
        for renew, bearer in ((spoil, "Bearer first"), (lambda file: file.write_text("second"), "Bearer second")):
            renew(token)
            asked: Any = client.configuration.get_api_key_with_prefix
            assert await asked("BearerToken") == bearer
    finally:
        await client.close()
