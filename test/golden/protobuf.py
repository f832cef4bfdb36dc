"""Protobuf messages as their fields, and back, without knowing their types."""

LENGTH_DELIMITED = 2


def read_varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("not a message")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(message):
    """(number, wire type, the field's bytes as they stand without tag and length) in the order of the message."""
    at = 0
    while at < len(message):
        tag, at = read_varint(message, at)
        number, wire = tag >> 3, tag & 7
        begin = at
        if wire == 0:
            _, at = read_varint(message, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        elif wire == LENGTH_DELIMITED:
            length, begin = read_varint(message, at)
            at = begin + length
        else:
            raise ValueError(f"wire type {wire}")
        if at > len(message) or not number:
            raise ValueError("not a message")
        yield number, wire, message[begin:at]


def field(number, wire, value):
    return varint(number << 3 | wire) + (varint(len(value)) if wire == LENGTH_DELIMITED else b"") + value


def values(message, path):
    """What stands at a path of field numbers."""
    for number, wire, value in fields(message):
        if number == path[0] and wire == LENGTH_DELIMITED:
            yield from values(value, path[1:]) if path[1:] else [value]


def edited(message, path, edit):
    """The message with `edit` applied to what stands at a path of field numbers."""
    out = []
    for number, wire, value in fields(message):
        if number == path[0] and wire == LENGTH_DELIMITED:
            value = edited(value, path[1:], edit) if path[1:] else edit(value)
        out.append(field(number, wire, value))
    return b"".join(out)
