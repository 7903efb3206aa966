"""What Kubernetes refuses is refused, with its own words, and nothing else is."""

import pytest

from pullstudy.pulls.kubernetes_names import (
    label_fault,
    label_key_fault,
    label_value_fault,
    reference_fault,
    subdomain_fault,
)

DIGITS = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "reference",
    [
        "busybox",
        "busybox:1.36",
        "docker.io/library/busybox@sha256:" + DIGITS,
        "localhost:5000/a/b_c/d__e/f--g:V.1-x_",
        "[fd00::1]:5000/a:1",
        "UPPER/case",  # a registry may have capitals
        "a_b.c/d",
        DIGITS + ":1",
        "a/" * 100 + "b",
    ],
)
def test_references_that_a_kubelet_takes(reference: str) -> None:
    assert reference_fault(reference) is None


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("https://ghcr.io/a", "invalid reference format"),
        ("a/b\n", "invalid reference format"),
        ("ä/b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("Busybox:1", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("ghcr.io/Me/a:1", "invalid reference format: repository name (Me/a) must be lowercase"),
        ("me/A:1", "invalid reference format: repository name (me/A) must be lowercase"),
        (DIGITS, f"invalid repository name ({DIGITS}), cannot specify 64-byte hexadecimal strings"),
        ("a@sha256:" + DIGITS[:-1], "invalid checksum digest length"),
        ("a@sha256:" + DIGITS.upper(), "invalid checksum digest format"),
        ("a@md5:" + DIGITS[:32], "unsupported digest algorithm"),
        ("ghcr.io/" + "a/" * 130 + "b", "repository name must not be more than 255 characters"),
    ],
)
def test_references_that_a_kubelet_calls_invalid(reference: str, said: str) -> None:
    assert reference_fault(reference) == said


def test_a_reference_of_a_million_characters_is_judged_at_once() -> None:
    for text in ("a" * 10**6 + "!", "a-" * 500_000 + "!", "a." * 500_000 + "!", "a/" * 500_000 + "!", "_" * 10**6):
        assert reference_fault(text) is not None


@pytest.mark.parametrize("key", ["a", "A.b_c-d", "example.com/role", "a" * 63, "a." * 126 + "a/x"])
def test_keys_that_are_taken(key: str) -> None:
    assert label_key_fault(key) is None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "name part must be non-empty"),
        ("a/", "name part must be non-empty"),
        ("/a", "prefix part must be non-empty"),
        ("-a", "name part must consist"),
        ("a b", "name part must consist"),
        ("a" * 64, "name part must be no more than 63 characters"),
        ("A.com/x", "prefix part a lowercase RFC 1123 subdomain"),
        ("a/b/c", "prefix part a lowercase RFC 1123 subdomain"),
        ("a." * 127 + "a/x", "prefix part must be no more than 253 characters"),
    ],
)
def test_keys_that_are_not(key: str, said: str) -> None:
    assert (label_key_fault(key) or "").startswith(said)


def test_values_and_names() -> None:
    assert [label_value_fault(value) for value in ("", "A_1.x", "a" * 63)] == [None] * 3
    assert all(label_value_fault(value) for value in ("a b", "a-", "-a", "é", "a\n", "a" * 64))
    assert [label_fault("a-1"), subdomain_fault("a-1.b"), subdomain_fault("a" * 253)] == [None] * 3
    assert all(label_fault(name) for name in ("A", "a.b", "a_b", "-a", "a-", "", "a" * 64))
    assert all(subdomain_fault(name) for name in ("A", "a..b", "a.", "a/b", "", "a" * 254))
