"""How the driver goes on with an API server that does not answer, and what it says of it."""

from pathlib import Path

from tests.driver.scripted_api import scripted


async def test_a_server_that_stays_away_is_told_with_the_time_of_the_next_try(tmp_path: Path) -> None:
    told: list[str] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with scripted(tmp_path, sleep, note=told.append, patience_seconds=100.0) as (script, api):
        for _ in range(8):
            script.say("/version", {}, status=503)
        script.say("/version", {"gitVersion": "v1.34.4"})
        assert await api.server_version() == "v1.34.4"
    waits = [f"tried again in {seconds:.0f} s" for seconds in slept if seconds >= 2.0]
    assert len(waits) in (4, 5), "they double from a quarter of a second, less what chance takes off"
    assert [line.partition("; ")[2].partition(", for ")[0] for line in told] == waits
    assert all(line.startswith("read the version: the API server answered 503") for line in told)
    assert all(line.endswith(" s in all") for line in told)
