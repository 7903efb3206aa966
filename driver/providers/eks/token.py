"""A token for a cluster's API, as EKS' authenticator takes it, and the command by which kubeconfigs ask for one.

It is an address of STS, signed for 60 s; the authenticator takes it for 15 minutes from its signature on. Source:
kubernetes-sigs/aws-iam-authenticator, "API Authorization from Outside a Cluster".
"""

import base64
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from driver.errors import DriverError
from driver.providers.eks.account import load_boto3
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind, read_error

# Two minutes short of its life, for clients that renew at the last moment; kubernetes_asyncio does 5 minutes before.
SAID_LIFE = timedelta(minutes=13)
SIGNED_SECONDS = 60
_PREFIX = "k8s-aws-v1."
_CLUSTER_HEADER = "x-k8s-aws-id"
_API_VERSION = "client.authentication.k8s.io/v1beta1"


def make_token(cluster: str, region: str) -> str:
    """Signed with the credentials of now; nothing is asked of AWS. Raises AwsError, UsageError."""
    try:
        url = _signed(cluster, region)
    except Exception as error:
        if not type(error).__module__.startswith("botocore"):
            raise
        raise read_error("sign a token", error) from error
    return _PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _signed(cluster: str, region: str) -> str:
    """The address. Credentials that are made anew, as those of SSO are, may fail at any of its lines."""
    session = load_boto3().Session(region_name=region)
    from botocore.signers import RequestSigner

    credentials = session.get_credentials()
    if credentials is None:
        raise AwsError("sign a token", "NoCredentials", "no credentials are found", AwsErrorKind.CREDENTIALS)
    sts = session.client("sts", region_name=region)
    signer = RequestSigner(sts.meta.service_model.service_id, region, "sts", "v4", credentials, session.events)
    request = {
        "method": "GET",
        "url": f"{sts.meta.endpoint_url}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {_CLUSTER_HEADER: cluster},
        "context": {},
    }
    url: str = signer.generate_presigned_url(request, region_name=region, expires_in=SIGNED_SECONDS, operation_name="")
    return url


def credential(token: str, now: datetime) -> dict[str, Any]:
    """What a kubeconfig's exec plugin prints."""
    expires = (now + SAID_LIFE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": _API_VERSION,
        "kind": "ExecCredential",
        "spec": {},
        "status": {"token": token, "expirationTimestamp": expires},
    }


def exec_section(cluster: str, region: str) -> dict[str, Any]:
    """How a kubeconfig's user asks for tokens: this module as a command, so that no other tool need be installed."""
    # -P: a user's own driver/ in the working directory is not this package.
    return {
        "apiVersion": _API_VERSION,
        "command": sys.executable,
        "args": ["-P", "-m", "driver.providers.eks.token", cluster, region],
        "interactiveMode": "Never",
    }


def main(arguments: list[str]) -> int:
    """Print a credential for the cluster and region named; the exit code."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m driver.providers.eks.token CLUSTER REGION\n")
        return 2
    try:
        token = make_token(*arguments)
    except DriverError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(credential(token, datetime.now(UTC))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
