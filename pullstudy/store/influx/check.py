"""Whether a bucket can be read and written, before anything depends on it. Nothing is stored."""

from datetime import datetime

from pullstudy.store.influx.answers import Action, Verdict, judge
from pullstudy.store.influx.connection import Answer, InfluxConnection, NoAnswerError
from pullstudy.store.influx.flux import literal
from pullstudy.store.influx.settings import InfluxSettings


async def why_not_usable(settings: InfluxSettings, now: datetime) -> str | None:
    """One line that says what is wrong; None where nothing is. Raises InfluxSettingsError."""
    connection = InfluxConnection(settings)
    try:
        read = await connection.query(f"from(bucket: {literal(settings.bucket)}) |> range(start: -1s) |> limit(n: 1)")
        if (verdict := _judge(read, now)).action is not Action.DONE:
            return f"cannot be read: {verdict.reason}"
        # No points: the server looks at token and bucket first, and then says that there is nothing to write.
        wrote = await connection.write(b"")
        verdict = _judge(wrote, now)
        return f"cannot be written: {verdict.reason}" if verdict.action is Action.REPEAT else None
    except NoAnswerError as error:
        return str(error)
    finally:
        await connection.close()


def _judge(answer: Answer, now: datetime) -> Verdict:
    return judge(answer.status, answer.headers, answer.body, now)
