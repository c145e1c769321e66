"""Minimal protobuf parser for the headers of backups and the metadata of iPhone messages.

A field is a varint, number * 8 + wire type, followed by its value; see
https://protobuf.dev/programming-guides/encoding/. A library would need a compiler and a schema to
read three fields.
"""

_VARINT, _I64, _LENGTH, _I32 = 0, 1, 2, 5


def parse_fields(data: bytes) -> dict[int, int | bytes]:
    """Parse a message; return field numbers to values, the last value of a repeated field.

    Embedded messages, strings and bytes are returned as bytes; fixed-width numbers are skipped.
    Raises ValueError if *data* is not a message.
    """
    fields: dict[int, int | bytes] = {}
    offset = 0
    while offset < len(data):
        tag, offset = _varint(data, offset)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            fields[number], offset = _varint(data, offset)
        elif wire_type == _LENGTH:
            length, offset = _varint(data, offset)
            fields[number] = data[offset : offset + length]
            offset += length
        elif wire_type in (_I64, _I32):
            offset += 8 if wire_type == _I64 else 4
        else:
            raise ValueError(f"wire type {wire_type} at byte {offset}")
        if number == 0 or offset > len(data):
            raise ValueError(f"a field ends at byte {offset} of {len(data)}")
    return fields


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return (value, end) of the varint at *offset*: 7 bits per byte, least significant first."""
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(data):
            break
        byte = data[offset]
        offset += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, offset
    raise ValueError(f"unterminated varint at byte {offset}")
