"""The permissions boundary of the roles that a study makes: a managed policy, made once in an account by its admin.

The template names it, and deploy/eks-policy.json lets nobody make a role without it.
"""

from driver.errors import ProviderError
from driver.providers.eks.account import Account
from driver.providers.eks.aws_errors import AwsError, AwsErrorKind

BOUNDARY = "pullstudy-eks-boundary"


async def check_boundary(account: Account) -> None:
    """Whether the account has it. Raises ProviderError: CloudFormation would say so only when half of it is made."""
    caller = (await account.call("sts", "get_caller_identity"))["Arn"].split(":")
    arn = f"arn:{caller[1]}:iam::{caller[4]}:policy/{BOUNDARY}"
    try:
        await account.call("iam", "get_policy", PolicyArn=arn)
    except AwsError as error:
        if error.kind is not AwsErrorKind.GONE:
            raise
        raise ProviderError(
            f"account {caller[4]} has no policy {BOUNDARY}, within which its roles would be made: run aws iam"
            f" create-policy --policy-name {BOUNDARY} --policy-document file://deploy/eks-boundary.json"
        ) from error
