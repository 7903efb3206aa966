"""Error texts, classified by what a user would do about them."""

import pytest

from pullstudy.pulls.failure import FailureClass, classify


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
    assert hopeless == {"unauthorized", "not-found", "invalid-name", "never-pull", "signature"}


@pytest.mark.parametrize("tag", ["403", "1.404", "2.401.0", "v1-429"])
def test_a_number_in_a_name_is_no_answer_of_a_registry(tag: str) -> None:
    said = f'failed to pull and unpack image "registry:5000/app:{tag}": dial tcp 10.0.0.1:5000: i/o timeout'
    assert classify(f"ErrImagePull: {said}") is FailureClass.TIMEOUT
