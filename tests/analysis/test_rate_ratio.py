"""How many times as often something happens: exact of independent events, and careful of those that come together."""

import pytest
import scipy.stats

from pullstudy.analysis.statistics.rate_ratio import Counted, RateChange, rate_change


def known(first: list[Counted], second: list[Counted]) -> RateChange:
    found = rate_change(first, second)
    assert found is not None
    return found


def test_the_bounds_of_independent_events_are_clopper_and_pearsons() -> None:
    found = known([Counted(1, 10)] * 5, [Counted(1, 10)] * 5 + [Counted(2, 10)] * 5)
    share = scipy.stats.binomtest(15, 20).proportion_ci(0.95, method="exact")
    assert (found.first, found.second, found.ratio) == (5, 15, 1.5)
    assert found.ratio_low == pytest.approx(share.low / (1 - share.low) / 2)
    assert found.ratio_high == pytest.approx(share.high / (1 - share.high) / 2)


def test_nothing_before_and_something_after_has_a_lower_bound_alone() -> None:
    found = known([Counted(0, 8)] * 10, [Counted(1, 8)] * 10)
    assert (found.ratio, found.ratio_high) == (None, None)
    assert found.ratio_low == pytest.approx(2.24, abs=0.01)  # ten of ten: 0.025 ** 0.1 of all at least
    assert found.more_low > 0


def test_failures_that_come_together_are_worth_one() -> None:
    scattered = known([Counted(1, 8)] * 10, [Counted(4, 8)] * 10)
    together = known([Counted(1, 8)] * 10, [Counted(40, 80)] + [Counted(0, 8)] * 9)
    assert (scattered.ratio_low or 0) > 1 > (together.ratio_low or 0)
    assert scattered.more_low > 0 > together.more_low


def test_what_was_never_tried_has_no_rate() -> None:
    assert rate_change([], [Counted(1, 8)]) is None


def test_an_expected_count_has_garwoods_interval() -> None:
    found = known([Counted(0, 10**6)], [Counted(10, 10**6)])
    low = scipy.stats.chi2.ppf(0.025, 20) / 2
    assert found.more == 10
    assert found.more_low == pytest.approx(10 - ((10 - low) ** 2 + 3.6889**2) ** 0.5, abs=0.01)
