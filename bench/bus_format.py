"""JSON, MessagePack, Avro and Protobuf side by side as the message of a pull: bytes and microseconds a record.

    python -m bench.bus_format [--records 20000]

Bytes are shown as they are and as they travel: the values of 500 messages compressed together, as a producer does.
Avro and Protobuf are measured where ``fastavro`` and ``protobuf`` are installed (they are no dependency of pullstudy).
"""

import argparse
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import cramjam
import msgspec

from bench.pull_records import make_pulls
from pullstudy.bus import record_format
from pullstudy.pulls.record import PullRecord
from pullstudy.store.influx.point_layout import PULL, from_nanoseconds, nanoseconds

TOGETHER = 500


@dataclass(frozen=True)
class MessageFormat:
    """One way to write a record, and to read it back."""

    name: str
    encode: Callable[[PullRecord], bytes]
    decode: Callable[[bytes], PullRecord]


def json_format() -> MessageFormat:
    return MessageFormat("JSON", record_format.encode, record_format.decode)  # type: ignore[arg-type]


def message_pack_format() -> MessageFormat:
    return MessageFormat("MessagePack", msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(PullRecord).decode)


_AVRO = {str: "string", int: "long", float: "double", datetime: {"type": "long", "logicalType": "timestamp-micros"}}


def avro_format() -> MessageFormat:
    """One schemaless value a message, as with a schema registry (which adds 5 bytes)."""
    import fastavro

    fields = [
        {"name": name, "type": ["null", _AVRO.get(PULL.types[name], "string")]} for name in PullRecord.__struct_fields__
    ]
    schema = fastavro.parse_schema({"type": "record", "name": "Pull", "fields": fields})

    def encode(record: PullRecord) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, {**msgspec.structs.asdict(record), "outcome": record.outcome.value})
        return out.getvalue()

    def decode(value: bytes) -> PullRecord:
        read: Any = fastavro.schemaless_reader(io.BytesIO(value), schema, None)
        return PullRecord(**{**read, "outcome": PULL.types["outcome"](read["outcome"])})

    return MessageFormat("Avro (fastavro)", encode, decode)


def protobuf_format() -> MessageFormat:
    """A message of the same columns, by the upb runtime; unknown is an absent field."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = {str: 9, int: 3, float: 1, datetime: 3}  # FieldDescriptorProto.Type: string, int64, double
    file = descriptor_pb2.FileDescriptorProto(name="pull.proto", package="pullstudy", syntax="proto2")
    message = file.message_type.add(name="Pull")
    for number, name in enumerate(PullRecord.__struct_fields__, start=1):
        message.field.add(name=name, number=number, label=1, type=kinds.get(PULL.types[name], 9))  # type: ignore[arg-type]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName("pullstudy.Pull"))
    times = [name for name, kind in PULL.types.items() if kind is datetime]

    def encode(record: PullRecord) -> bytes:
        values = {name: value for name, value in msgspec.structs.asdict(record).items() if value is not None}
        for name in times:
            if name in values:
                values[name] = nanoseconds(values[name])
        return made(**values).SerializeToString()

    def decode(value: bytes) -> PullRecord:
        values: dict[str, Any] = {field.name: found for field, found in made.FromString(value).ListFields()}
        for name in times:
            if name in values:
                values[name] = from_nanoseconds(values[name])
        return PullRecord(**{**values, "outcome": PULL.types["outcome"](values["outcome"])})

    return MessageFormat("Protobuf", encode, decode)


def best_seconds(run: Callable[[], object], tries: int = 3) -> float:
    def once() -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return min(once() for _ in range(tries))


def compressed_bytes(values: list[bytes], compress: Callable[[bytes], Any]) -> float:
    batches = [b"".join(values[start : start + TOGETHER]) for start in range(0, len(values), TOGETHER)]
    return sum(len(bytes(compress(batch))) for batch in batches) / len(values)


def show(form: MessageFormat, records: list[PullRecord]) -> None:
    values = [form.encode(record) for record in records]
    assert [form.decode(value) for value in values] == records, form.name
    encode = best_seconds(lambda: [form.encode(record) for record in records])
    decode = best_seconds(lambda: [form.decode(value) for value in values])
    zstd = compressed_bytes(values, lambda data: cramjam.zstd.compress(data, 1))
    lz4 = compressed_bytes(values, lambda data: cramjam.lz4.compress(data))
    plain = sum(map(len, values)) / len(values)
    microseconds = 1e6 / len(records)
    print(
        f"{form.name:34} {plain:8.0f} {zstd:8.0f} {lz4:8.0f} {encode * microseconds:8.2f} {decode * microseconds:8.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=20_000)
    records = make_pulls(parser.parse_args().records)
    print(f"{len(records)} records; bytes and microseconds a record")
    print(f"{'format':34} {'bytes':>8} {'zstd':>8} {'lz4':>8} {'encode':>8} {'decode':>8}")
    for make in (json_format, message_pack_format, avro_format, protobuf_format):
        try:
            form = make()
        except ModuleNotFoundError as error:
            print(f"{make.__name__}: not measured, {error.name} is not installed")
        else:
            show(form, records)


if __name__ == "__main__":
    main()
