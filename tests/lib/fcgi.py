"""fcgi.py - a small FastCGI client, able to lie, and an application of one request

`request()` is the honest way: one request, one reply. `Peer` gives each record by hand, for peers that promise a length and send
another, end early, abort, or stay silent. `take_request()` is the other side: it shows what a web server sends. FastCGI 1.0: a record is version 1, type, request id, content length, padding length, one
reserved byte, the content and the padding.
"""
import json
import socket
import struct

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = 1, 2, 3, 4, 5, 6, 7
RESPONDER = 1
KEEP_CONNECTION = 1
CONTENT_MAX = 65535
TIMEOUT_S = 10


class Reply:
    """What came back: status, headers (lower-case names), body; `ended` is false where the peer closed before its end record."""

    def __init__(self, output, ended):
        head, _, self.body = output.partition(b"\r\n\r\n")
        pairs = [line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line]
        self.headers = {name.lower(): value for name, value in pairs}
        self.status = int(self.headers.get("status", "200").split()[0]) if output else None
        self.ended = ended

    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def record(kind, content=b"", request_id=1, padding=0):
    return struct.pack("!BBHHBx", 1, kind, request_id, len(content), padding) + content + b"\0" * padding


def length(number):
    return struct.pack("!B", number) if number < 128 else struct.pack("!I", number | 0x80000000)


def pairs(parameters):
    """Name-value pairs in the form that PARAMS records carry; `parameters` is a dict, or a list of pairs where names repeat."""
    encoded = b""
    for name, value in parameters.items() if isinstance(parameters, dict) else parameters:
        name, value = as_bytes(name), as_bytes(value)
        encoded += length(len(name)) + length(len(value)) + name + value
    return encoded


def as_bytes(text):
    return text if isinstance(text, bytes) else str(text).encode()


def parameters_of(method, path, body_length=None, content_type=None, headers=None):
    """The CGI variables that a web server would give; `headers` become HTTP_* ones."""
    path, _, query = path.partition("?")
    variables = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "test", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "REQUEST_METHOD": method, "SCRIPT_NAME": "",
        "PATH_INFO": path, "DOCUMENT_URI": path, "REQUEST_URI": f"{path}?{query}" if query else path, "QUERY_STRING": query,
    }
    if content_type is not None:
        variables["CONTENT_TYPE"] = content_type
    if body_length is not None:
        variables["CONTENT_LENGTH"] = body_length
    for name, value in (headers or {}).items():
        variables["HTTP_" + name.upper().replace("-", "_")] = value
    return variables


class Peer:
    """One connection to the application. Every step returns the peer, so that steps can be chained."""

    def __init__(self, address, timeout_s=TIMEOUT_S):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def begin(self, role=RESPONDER, flags=0, request_id=1):
        return self.send(record(BEGIN_REQUEST, struct.pack("!HB5x", role, flags), request_id))

    def params(self, parameters, end=True):
        encoded = pairs(parameters)
        for start in range(0, len(encoded), CONTENT_MAX):
            self.send(record(PARAMS, encoded[start:start + CONTENT_MAX]))
        return self.send(record(PARAMS)) if end else self

    def stdin(self, data):
        for start in range(0, len(data), CONTENT_MAX):
            self.send(record(STDIN, data[start:start + CONTENT_MAX]))
        return self

    def end_stdin(self):
        return self.send(record(STDIN))

    def abort(self):
        return self.send(record(ABORT_REQUEST))

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def reply(self):
        """Reads up to the end record or the end of the connection."""
        output, ended = b"", False
        while not ended:
            header = self.exactly(8)
            if len(header) < 8:
                break
            _, kind, _, content_length, padding_length = struct.unpack("!BBHHBx", header)
            content = self.exactly(content_length)
            self.exactly(padding_length)
            output += content if kind == STDOUT else b""
            ended = kind == END_REQUEST
        return Reply(output, ended)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                chunk = self.socket.recv(size - len(data))
            except ConnectionResetError:
                break
            if not chunk:
                break
            data += chunk
        return data

    def close(self):
        self.socket.close()


def request(address, method, path, body=b"", content_type=None, headers=None, timeout_s=TIMEOUT_S):
    """One honest request; `body` is bytes, text, or something that becomes JSON."""
    if not isinstance(body, (bytes, str)):
        body, content_type = json.dumps(body), content_type or "application/json"
    body = as_bytes(body)
    with Peer(address, timeout_s) as peer:
        peer.begin().params(parameters_of(method, path, len(body), content_type, headers))
        return peer.stdin(body).end_stdin().reply()


def take_request(listener, output):
    """Accepts one request on a listening socket and answers `output`: gives its parameters, as a dict, and its body."""
    connection, _ = listener.accept()
    connection.settimeout(TIMEOUT_S)
    with connection, connection.makefile("rb") as stream:
        received, unfinished = {PARAMS: b"", STDIN: b""}, {PARAMS, STDIN}
        while unfinished:
            _, kind, _, content_length, padding_length = struct.unpack("!BBHHBx", stream.read(8))
            content = stream.read(content_length)
            stream.read(padding_length)
            if kind in received:
                received[kind] += content
                unfinished -= set() if content else {kind}
        connection.sendall(record(STDOUT, as_bytes(output)) + record(STDOUT) + record(END_REQUEST, bytes(8)))
    return unpaired(received[PARAMS]), received[STDIN]


def unpaired(encoded):
    """The parameters in the content of PARAMS records."""
    found, at = {}, 0
    while at < len(encoded):
        lengths = []
        for _ in range(2):
            short = encoded[at] < 128
            lengths.append(encoded[at] if short else struct.unpack_from("!I", encoded, at)[0] & 0x7FFFFFFF)
            at += 1 if short else 4
        name, value = encoded[at:at + lengths[0]], encoded[at + lengths[0]:at + sum(lengths)]
        found[name.decode("latin-1")] = value.decode("latin-1")
        at += sum(lengths)
    return found
