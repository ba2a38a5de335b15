"""Takes weights off an ONNX model's list of inputs, where files of early format versions repeat them.

ONNX Runtime would take such weights for changeable and leave out optimisations that hone makes; a
comparison would not be fair. Reads protobuf's wire format itself: the peers have no onnx package."""

MODEL_GRAPH, GRAPH_INITIALIZER, GRAPH_INPUT = 7, 5, 11
TENSOR_NAME, VALUE_NAME = 8, 1


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _encode_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data):
    """Yields (field number, the whole field's bytes, payload of a length-delimited one or None)."""
    at = 0
    while at < len(data):
        begin = at
        tag, at = _varint(data, at)
        wire_type, payload = tag & 7, None
        if wire_type == 0:
            _, at = _varint(data, at)
        elif wire_type == 1:
            at += 8
        elif wire_type == 2:
            length, at = _varint(data, at)
            payload = data[at:at + length]
            at += length
        elif wire_type == 5:
            at += 4
        else:
            raise ValueError(f"wire type {wire_type} at byte {begin}: no ONNX file")
        yield tag >> 3, data[begin:at], payload


def _name(message, number):
    return next((bytes(payload) for field, _, payload in _fields(message) if field == number), b"")


def _fixed_graph(graph):
    fields = list(_fields(graph))
    weights = {_name(payload, TENSOR_NAME) for field, _, payload in fields
               if field == GRAPH_INITIALIZER}
    return b"".join(whole for field, whole, payload in fields
                    if field != GRAPH_INPUT or _name(payload, VALUE_NAME) not in weights)


def with_constant_weights(model):
    """The bytes of an ONNX file without inputs that are weights."""
    out = []
    for field, whole, payload in _fields(memoryview(model)):
        if field == MODEL_GRAPH:
            graph = _fixed_graph(payload)
            whole = _encode_varint(MODEL_GRAPH << 3 | 2) + _encode_varint(len(graph)) + graph
        out.append(whole)
    return b"".join(out)
