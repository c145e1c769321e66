"""The fields of a protobuf message, as far as backups and the iPhone's metadata need them.

https://protobuf.dev/programming-guides/encoding/: each field is a varint, number * 8 + wire type,
and its value. A library would bring a compiler and a schema for three fields.
"""

_VARINT, _I64, _LENGTH, _I32 = 0, 1, 2, 5


def fields(data: bytes) -> dict[int, int | bytes]:
    """Number to value, the last one where a field comes again; ValueError if *data* is no message.

    Messages within, texts and bytes are bytes; fixed-width numbers are left out.
    """
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            found[number], at = _varint(data, at)
        elif wire == _LENGTH:
            length, at = _varint(data, at)
            found[number] = data[at : at + length]
            at += length
        elif wire in (_I64, _I32):
            at += 8 if wire == _I64 else 4
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if number == 0 or at > len(data):
            raise ValueError(f"a field of {len(data)} bytes ends at {at}")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends) of the number at byte *at*, seven bits a byte, lowest first."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError(f"no number ends at byte {at}")
