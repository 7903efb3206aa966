"""What pulls and clusters differ by where a model does not say it."""

from dataclasses import replace

from pullstudy.sim.model.parameters import ModelParameters, SpreadParameters

# As measured on real nodes: pulls of one job on GKE by 7 to 8%, days of one cluster by 5% (docs/known-truth.md).
USUAL = SpreadParameters(pull_sigma=0.08, cluster_sigma=0.05)


def spread_is_known(parameters: ModelParameters) -> bool:
    """Whether the model says what pulls or clusters differ by."""
    return parameters.spread != SpreadParameters()


def with_spread(parameters: ModelParameters) -> ModelParameters:
    """As the model has it, or the usual one."""
    return parameters if spread_is_known(parameters) else replace(parameters, spread=USUAL)
