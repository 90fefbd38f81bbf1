"""http.py - two HTTP clients: one that behaves (keep-alive, JSON) and one that sends any bytes it is given"""
import http.client
import json
import socket
import ssl

TIMEOUT_S = 10


class Reply:
    """Status, headers (lower-case names) and body of an answer."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Client:
    """Keeps one connection; opens another when the server has closed it between two requests."""

    def __init__(self, port, tls=False, host="127.0.0.1", timeout_s=TIMEOUT_S):
        if tls:
            self.connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=trust_anyone())
        else:
            self.connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def request(self, method, path, body=None, content_type=None, headers=None):
        """`body` is bytes, text, or something that becomes JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body, content_type = json.dumps(body), content_type or "application/json"
        if isinstance(body, str):
            body = body.encode()
        if content_type is not None:
            headers["Content-Type"] = content_type
        try:
            return self.once(method, path, body, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.connection.close()
            return self.once(method, path, body, headers)

    def once(self, method, path, body, headers):
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return Reply(answer.status, answer.getheaders(), answer.read())
        except BaseException:
            self.connection.close()
            raise

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, content_type="application/json", **options):
        return self.request("POST", path, body, content_type, **options)

    def close(self):
        self.connection.close()


def trust_anyone():
    """The certificate of a test is self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(port, timeout_s=TIMEOUT_S, host="127.0.0.1"):
    return socket.create_connection((host, port), timeout_s)


def exchange(port, data, timeout_s=TIMEOUT_S):
    """Sends `data`, bytes or an iterable of them, and gives back every reply until the server closes the connection."""
    with connect(port, timeout_s) as connection:
        try:
            for piece in [data] if isinstance(data, bytes) else data:
                connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass                # it has answered and closed before we were done: read what it said
        return replies(everything(connection))


def everything(connection):
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def replies(received):
    """The replies in what a server sent on one connection; each must have a Content-Length or be the last."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines if ": " in line]
        size = int(dict((name.lower(), value) for name, value in headers).get("content-length", len(rest)))
        status = int(status_line.split()[1])
        if status != 100:
            found.append(Reply(status, headers, rest[:size]))
        received = rest if status == 100 else rest[size:]
    return found


def head(method, path, **headers):
    """The head of a request, for `exchange`; underscores in names become dashes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
