"""Error texts, classified by what a user would do about them."""

import pytest

from pullstudy.pulls.failure import FailureClass, classify
from pullstudy.pulls.message import FailedText, read_sandbox_failure


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("pull QPS exceeded", "qps"),
        ("failed to copy: httpReadSeeker: failed open: unexpected status code 429 Too Many Requests", "rate-limited"),
        ("toomanyrequests: You have reached your pull rate limit", "rate-limited"),
        ("failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized", "unauthorized"),
        ("pull access denied, repository does not exist or may require authorization", "unauthorized"),
        ("unexpected status from HEAD request: 403 Forbidden", "unauthorized"),
        ('failed to resolve reference "x:nope": x:nope: not found', "not-found"),
        ("manifest unknown: manifest unknown", "not-found"),
        ("dial tcp 10.0.0.1:443: i/o timeout", "timeout"),
        ("context deadline exceeded", "timeout"),
        ("failed to extract layer sha256:ab: write /var/lib/x: no space left on device: unknown", "no-space"),
        ("image pull failed for x because the registry is unavailable.", "unavailable"),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "unavailable"),
        ('failed commit on ref "layer-sha256:ab": unexpected commit digest sha256:cd, expected sha256:ab', "corrupt"),
        ('couldn\'t parse image name "A": invalid reference format: repository name must be lowercase', "invalid-name"),
        ('Container image "x" is not present with pull policy of Never', "never-pull"),
        ("image pull failed for x because the signature validation failed", "signature"),
        (
            'rpc error: code = NotFound desc = failed to prepare extraction snapshot "extract-1 sha256:aa":'
            " parent snapshot sha256:bb does not exist: not found",
            "corrupt",
        ),
        (
            'Get "https://r/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
            "certificate",
        ),
        ("x509: certificate is valid for ingress.local, not r.example", "certificate"),
        (
            "x509: certificate has expired or is not yet valid: current time 2024-08-23T02:24:11Z is before 2024-09-01",
            "unavailable",
        ),
        ("dial tcp: lookup r.example on 10.0.0.10:53: no such host", "dns"),
        ("dial tcp: lookup r.example: Temporary failure in name resolution", "dns"),
        ("dial tcp: lookup r.example on 10.0.0.10:53: read udp 10.0.0.5:35678->10.0.0.10:53: i/o timeout", "dns"),
        ("lookup r.example on 127.0.0.53:53: server misbehaving", "dns"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "no-platform"),
        ("failed to unpack image: no match for platform in manifest: not found", "no-platform"),
        (
            'choosing image instance: no image found in manifest list for architecture "arm64", variant "v8"',
            "no-platform",
        ),
        (
            'short-name "app:1" did not resolve to an alias and no unqualified-search registries are defined',
            "invalid-name",
        ),
        ("short name mode is enforcing, but image name app:1 returns ambiguous list", "invalid-name"),
        ("Error response from daemon: manifest for r/app:nope not found: manifest unknown", "not-found"),
        ("something else", "other"),
        ("", "other"),
    ],
)
def test_the_text_tells_the_class(text: str, kind: str) -> None:
    assert classify(text) == kind


def test_no_error_text_is_of_class_other() -> None:
    assert classify(None) is FailureClass.OTHER


def test_only_what_waiting_cannot_mend_is_hopeless() -> None:
    hopeless = {kind for kind in FailureClass if kind.hopeless}
    assert hopeless == {
        *("unauthorized", "not-found", "certificate", "no-platform", "invalid-name", "never-pull", "signature"),
    }


@pytest.mark.parametrize("tag", ["403", "1.404", "2.401.0", "v1-429"])
def test_a_number_in_a_name_is_no_answer_of_a_registry(tag: str) -> None:
    said = f'failed to pull and unpack image "registry:5000/app:{tag}": dial tcp 10.0.0.1:5000: i/o timeout'
    assert classify(f"ErrImagePull: {said}") is FailureClass.TIMEOUT


@pytest.mark.parametrize(
    "said",
    [
        'failed pulling image "r.example/pause:3.5": Error response from daemon: i/o timeout',
        'unable to pull sandbox image "r.example/pause:3.5": Error response from daemon: i/o timeout',
        'error creating pod sandbox with name "k8s_app": initializing source docker://r.example/pause:3.5:'
        " pinging container registry r.example: i/o timeout",
    ],
)
def test_a_pause_image_that_cannot_be_pulled_is_told_by_docker_and_by_crio(said: str) -> None:
    read = read_sandbox_failure(f"Failed to create pod sandbox: rpc error: code = Unknown desc = {said}")
    assert isinstance(read, FailedText)
    assert read.image == "r.example/pause:3.5"
    assert classify(read.error) is FailureClass.TIMEOUT
