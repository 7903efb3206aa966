"""How far the event watch was read: its position in the spool, which keeps it as bytes and never looks inside."""

import msgspec

EVENTS = "events"  # the source's name in the spool


class Checkpoint(msgspec.Struct, frozen=True):
    """The version, and of which cluster: a version means nothing in another one."""

    version: str = ""
    cluster_uid: str = ""  # the uid of the namespace that tells the cluster
    namespace: str = ""  # the only one that was watched; empty where it was all of them

    def encode(self) -> bytes:
        return _encode(self)

    @staticmethod
    def decode(position: bytes | None) -> "Checkpoint":
        """None is a watch that has not begun."""
        return Checkpoint() if position is None else _decode(position)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Checkpoint).decode
