"""test_http.py - the web server in front: TLS, HTTP/2, limits, headers, logs, and error bodies of its own making"""
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from lib import fcgi, http, models, need, stack
from lib.models import EXAMPLE_BODY

BODY = json.dumps(EXAMPLE_BODY)


def curl(*words):
    """Status, HTTP version, headers and body, by a client that is not ours."""
    program = need.program("curl", "curl")
    run = subprocess.run([program, "--silent", "--show-error", "--insecure", "--max-time", "10", "--write-out", "\n%{http_code} %{http_version}", *map(str, words)],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run
    body, _, last = run.stdout.rpartition("\n")
    status, version = last.split()
    return int(status), version, body


def post(*words):
    return ["--data", BODY, "--header", "Content-Type: application/json", *words]


def url(site, path="/predict", scheme="https"):
    return f"{scheme}://127.0.0.1:{site.https_port if scheme == 'https' else site.http_port}{path}"


# TLS and versions of HTTP

def test_https(site):
    """curl over HTTPS gets a prediction"""
    status, _, body = curl(*post(url(site)))
    assert status == 200 and json.loads(body)["predictions"], body


def test_plain_http(site):
    """The plain port answers /predict too"""
    status, version, body = curl(*post(url(site, scheme="http")))
    assert (status, version) == (200, "1.1") and json.loads(body)["predictions"], body


def test_http_2(site):
    """HTTP/2 is spoken where the client can"""
    assert curl("--http2", *post(url(site)))[:2] == (200, "2")


def test_http_1_0(site):
    """HTTP/1.0 is answered and the connection closed"""
    reply = http.exchange(site.http_port, b"GET /healthz HTTP/1.0\r\n\r\n")[0]
    assert reply.status == 200, reply


def handshake(port, version):
    """The TLS version of a connection that offers only `version`."""
    context = http.trust_anyone()
    context.minimum_version = context.maximum_version = version
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain) as connection:
        return connection.version()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_versions(site):
    """TLS 1.2 and 1.3 are on, 1.1 and 1.0 are refused"""
    assert handshake(site.https_port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert handshake(site.https_port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(site.https_port, version)


def test_tls_is_preferred_new(site):
    """A client that can do both gets TLS 1.3"""
    with socket.create_connection(("127.0.0.1", site.https_port), 5) as plain, http.trust_anyone().wrap_socket(plain) as connection:
        assert connection.version() == "TLSv1.3"


def test_weak_suites(site):
    """Suites without forward secrecy are refused"""
    context = http.trust_anyone()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-SHA:AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA")
    with pytest.raises((ssl.SSLError, ConnectionError)), socket.create_connection(("127.0.0.1", site.https_port), 5) as plain:
        context.wrap_socket(plain)


def test_plain_bytes_on_the_tls_port(site):
    """Plain HTTP on the TLS port does no harm"""
    http.exchange(site.https_port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert curl(url(site, "/healthz"))[0] == 200


def test_keep_alive(site):
    """A thousand requests go over one connection"""
    client = http.Client(site.http_port)
    client.get("/healthz")
    port = client.connection.sock.getsockname()[1]
    for _ in range(1000):
        assert client.get("/healthz").status == 200
    assert client.connection.sock.getsockname()[1] == port
    client.close()


def test_pipelining(site):
    """Requests sent without waiting are answered in their order"""
    data = b"".join(http.head("GET", path) for path in ("/healthz", "/models", "/nothing")) + http.head("GET", "/version", Connection="close")
    assert [reply.status for reply in http.exchange(site.http_port, data)] == [200, 200, 404, 200]


def test_expect_continue(site):
    """Expect: 100-continue is answered before the body is sent"""
    with http.connect(site.http_port) as connection:
        connection.sendall(http.head("POST", "/predict", Content_Length=len(BODY), Expect="100-continue", Connection="close"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(BODY.encode())
        assert http.replies(http.everything(connection))[0].status == 200


def test_get_with_a_body(site):
    """A GET with a body is answered as one without, and the body is not taken for the next request"""
    hidden = http.head("GET", "/nothing")
    data = b"".join(http.head("GET", path, Content_Length=len(hidden)) + hidden for path in ("/healthz", "/predict", "/models"))
    assert [reply.status for reply in http.exchange(site.http_port, data + http.head("GET", "/version", Connection="close"))] == [200, 405, 200, 200]
    # Behind a file lighttpd closes the connection in place of reading the body.
    assert [reply.status for reply in http.exchange(site.http_port, http.head("GET", "/static/console.css", Content_Length=len(hidden)) + hidden
                                                    + http.head("GET", "/version", Connection="close"))] in ([200], [200, 200])


def test_redirect(front):
    """Where asked for, plain requests are sent to HTTPS with 308"""
    with stack.Site(models.SHIPPED, settings={"redirect_scheme": "http"}, front=front) as redirecting:
        reply = http.Client(redirecting.http_port).post("/predict?output=margin", EXAMPLE_BODY)
        assert reply.status == 308, reply
        assert re.fullmatch(r"https://127\.0\.0\.1(:\d+)?/predict\?output=margin", reply.headers["location"]), reply.headers
        assert curl(*post(url(redirecting)))[0] == 200


# Headers

HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "content-security-policy": None}


@pytest.mark.parametrize("path, status", [("/healthz", 200), ("/models", 200), ("/predict", 405), ("/nothing", 404)])
def test_security_headers(site, path, status):
    """Every answer carries the security headers"""
    reply = site.get(path)
    assert reply.status == status, reply
    for name, value in HEADERS.items():
        assert reply.headers.get(name) and value in (None, reply.headers[name]), f"{name}: {reply.headers.get(name)}"
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"], reply.headers


WWW = stack.WEBSERVER / "www"
STATIC = {"/": "text/html; charset=utf-8", "/index.html": "text/html; charset=utf-8",
          **{f"/{path.relative_to(WWW)}": {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.suffix]
             for path in sorted((WWW / "static").rglob("*")) if path.is_file()}}


def test_static_files(site):
    """Every file of the console has its type, the strict policy, and an ETag by which a browser asks again"""
    for path, content_type in STATIC.items():
        reply = site.get(path)
        assert (reply.status, reply.headers["content-type"], reply.headers["cache-control"]) == (200, content_type, "no-cache"), reply.headers
        assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["cross-origin-resource-policy"] == "same-origin", reply.headers
        policy = {part.split()[0]: part.split()[1:] for part in reply.headers["content-security-policy"].split("; ")}
        assert policy["default-src"] == ["'none'"] and policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"], policy
        assert not {"'unsafe-inline'", "'unsafe-eval'"} & set(sum(policy.values(), [])) and policy["frame-ancestors"] == ["'none'"], policy
        assert site.get(path, headers={"If-None-Match": reply.headers["etag"]}).status == 304, path


def test_console_names_its_files(site):
    """The page names only files that are there, and each of its modules"""
    page = site.get("/").body.decode()
    named = set(re.findall(r'(?:src|href)="(/static/[^"]*)"', page))
    assert named == {path for path in STATIC if path.startswith("/static/")}, named
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page), "script or style in the page itself"


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/%00"])
def test_no_versions(site, path):
    """No answer names the web server or its version"""
    reply = http.exchange(site.http_port, http.head("GET", path, Connection="close"))[0]
    assert "server" not in reply.headers or not re.search(r"\d", reply.headers["server"]), reply.headers
    assert not re.search(b"lighttpd|apache", reply.body.lower()) and "x-powered-by" not in reply.headers, reply


def test_predictions_are_not_cached(site):
    """Answers of the application are not for caches"""
    assert "no-store" in site.post("/predict", EXAMPLE_BODY).headers.get("cache-control", "")


# Errors that the web server makes

OWN_ERRORS = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400), "no HTTP": (b"HELLO\r\n\r\n", 400),
    "a NUL in a header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n", 400),
    "two lengths": (b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    "an absent static file": (http.head("GET", "/static/nothing.js", Connection="close"), 404),
    "another method on a static file": (http.head("PUT", "/index.html", Content_Length=0, Connection="close"), 405),
    "a body that is too large": (http.head("POST", "/predict", Content_Length=2**40), 413),
}

# Where the two web servers rightly differ: what is sent, lighttpd's status, Apache's, and why.
DIFFERENCES = {
    "a header of 20,000 bytes": (http.head("GET", "/healthz", A="x" * 20_000), 431, 400, "Apache does not have 431"),
    "a path of 20,000 bytes": (http.head("GET", "/" + "x" * 20_000), 431, 414, "lighttpd counts the request line with the fields"),
    "200 fields": (http.head("GET", "/healthz", **{f"A{number}": "x" for number in range(200)}, Connection="close"), 200, 400,
                   "lighttpd counts bytes only, Apache fields too"),
    "a NUL in the path": (http.head("GET", "/%00", Connection="close"), 400, 404, "to Apache it is the name of nothing"),
    "a broken escape in the path": (http.head("GET", "/%zz", Connection="close"), 404, 400, "lighttpd takes it for what it spells"),
    "a path that leaves the root": (http.head("GET", "/../healthz", Connection="close"), 404, 400, "lighttpd stops at the root"),
    "a static path that leaves the root": (http.head("GET", "/static/../../lighttpd.conf", Connection="close"), 404, 400, "the same"),
    "an absolute target": (http.head("GET", "http://localhost:1/healthz", Connection="close"), 400, 404, "futaie, which Apache lets judge, has no such path"),
    "an unknown transfer coding": (http.head("POST", "/predict", Transfer_Encoding="rot13", Connection="close"), 501, 400, "RFC 9112 allows both"),
    "a version of the future": (b"GET /healthz HTTP/9.9\r\nHost: x\r\nConnection: close\r\n\r\n", 505, 200, "Apache answers with the newest it knows"),
    "a method of nobody": (http.head("FOO", "/healthz", Connection="close"), 501, 405, "lighttpd has a list of methods, Apache asks futaie"),
    "a POST without a length": (http.head("POST", "/predict", Content_Type="application/json", Connection="close"), 411, 400,
                                "RFC 9112 calls that an empty body: futaie says what is expected in it"),
    "a length beside chunks": (http.head("POST", "/predict", Content_Length=9, Transfer_Encoding="chunked") + f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n".encode(),
                               400, 200, "RFC 9112 allows both: Apache takes the chunks and closes the connection; FastCGI knows no chunks to be smuggled"),
    "an unknown expectation": (http.head("POST", "/predict", Content_Type="application/json", Content_Length=2, Expect="more", Connection="close") + b"{}",
                               400, 417, "lighttpd does not look"),
}


def demand_error(reply):
    error = reply.json()
    assert len(error["error"]) > 10 and re.fullmatch(r"[a-z0-9_]+", error["code"]), reply
    assert reply.headers["content-type"] == "application/json", reply.headers


@pytest.mark.parametrize("data, status", OWN_ERRORS.values(), ids=OWN_ERRORS.keys())
def test_own_errors(site, data, status):
    """An error that the web server makes has the JSON body too"""
    reply = http.exchange(site.http_port, data)[0]
    assert reply.status == status, reply
    demand_error(reply)


@pytest.mark.parametrize("data, lighttpd, apache", [row[:3] for row in DIFFERENCES.values()], ids=DIFFERENCES.keys())
def test_differences(site, front, data, lighttpd, apache):
    """Where the web servers differ, each has its known status, and the JSON body"""
    reply = http.exchange(site.http_port, data)[0]
    assert reply.status == {"lighttpd": lighttpd, "apache": apache}[front], reply
    if reply.status != 200:
        demand_error(reply)


def test_too_large_over_http_2(site):
    """An upload over HTTP/2 that is too large ends in 413 or a closed stream, and the next request is served"""
    path = stack.scratch("upload") / "body"
    with open(path, "wb") as body:
        body.truncate(40 * 1024 * 1024)
    run = subprocess.run(["curl", "--silent", "--insecure", "--max-time", "10", "--http2", "--data-binary", f"@{path}", "--write-out", "\n%{http_code}", url(site)],
                         capture_output=True, text=True, check=False)
    # curl 7.88 drops an answer that ends before its upload does (92, a stream error).
    assert (run.returncode, run.stdout[-3:]) in ((0, "413"), (92, "000")), run
    assert curl("--http2", *post(url(site)))[:2] == (200, "2")


@pytest.mark.parametrize("way", ["stopped", "never there"])
def test_application_down(front, way):
    """Without the application: 503 with Retry-After and the JSON body, and all is well once it is back"""
    folder = stack.scratch("down")
    address = str(folder / "app.sock")
    app = stack.Futaie(models.SHIPPED, socket_option=address, folder=folder) if way == "stopped" else None
    with stack.FRONTS[front](address) as server, contextlib.closing(http.Client(server.http_port)) as client:
        if app:
            assert client.get("/healthz").status == 200
            app.stop()
        for path in ("/predict", "/healthz", "/models"):
            reply = client.request("POST" if path == "/predict" else "GET", path, BODY if path == "/predict" else None, "application/json")
            assert reply.status == 503 and int(reply.headers["retry-after"]) > 0, reply
            assert reply.json()["code"] and len(reply.json()["error"]) > 10, reply
            assert reply.headers["content-type"] == "application/json", reply.headers
        with stack.Futaie(models.SHIPPED, socket_option=address):
            stack.wait_for("answers again", lambda: client.post("/predict", EXAMPLE_BODY).status == 200, 3)


def test_application_killed(front):
    """After kill -9 of the application the web server says 5xx in JSON, and all is well once it is back"""
    app = stack.Futaie(models.SHIPPED)
    with stack.FRONTS[front](app.address) as server:
        client = http.Client(server.http_port)
        app.send(signal.SIGKILL)
        app.wait()
        app.start(ready=False)
        assert client.post("/predict", EXAMPLE_BODY).status == 200
        client.close()
    app.stop()


# What reaches the application

@pytest.fixture
def overheard(front):
    """A web server, and the socket of an application that is the test itself."""
    address = str(stack.scratch("overheard") / "app.sock")
    with contextlib.closing(stack.listening_socket(address)) as listener, stack.FRONTS[front](address) as server:
        yield server, listener


def test_parameters(overheard):
    """The application is given the request as the client wrote it: target, fields, body and its length, and who asks"""
    server, listener = overheard
    fields = {"Content_Type": "text/csv", "Authorization": "Basic dTpw", "X_Request_Id": "abc", "Connection": "close"}
    for body, length in ((BODY.encode(), {"Content_Length": len(BODY)}),
                         (f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n".encode(), {"Transfer_Encoding": "chunked"})):
        with http.connect(server.http_port) as client:
            client.sendall(http.head("POST", "/models/a%20b/predict?output=margin&x=%20", **fields, **length) + body)
            given, received = fcgi.take_request(listener, "Status: 413\r\nContent-Length: 2\r\nX-Own: 1\r\n\r\n{}")
            reply = http.replies(http.everything(client))[0]
        expected = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/models/a%20b/predict?output=margin&x=%20", "QUERY_STRING": "output=margin&x=%20",
                    "CONTENT_TYPE": "text/csv", "CONTENT_LENGTH": str(len(BODY)), "HTTP_AUTHORIZATION": "Basic dTpw", "HTTP_X_REQUEST_ID": "abc",
                    "REMOTE_ADDR": "127.0.0.1"}
        assert {name: given.get(name) for name in expected} == expected
        assert received == BODY.encode()
        assert (reply.status, reply.headers["x-own"], reply.headers["content-length"], reply.body) == (413, "1", "2", b"{}"), reply


def test_slow_body_stays_out(overheard):
    """A body that tells its length reaches the application only when it is complete"""
    server, listener = overheard
    body = b"x" * 100_000
    with http.connect(server.http_port) as client:
        client.sendall(http.head("POST", "/predict", Content_Length=len(body), Connection="close") + body[:-1])
        listener.settimeout(0.5)
        with pytest.raises(socket.timeout):
            listener.accept()
        client.sendall(body[-1:])
        listener.settimeout(10)
        assert fcgi.take_request(listener, "Status: 200\r\n\r\n")[1] == body


# /metrics is not for everyone

def test_metrics_from_loopback(site):
    """/metrics is open to loopback"""
    assert site.get("/metrics").status == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_metrics_through_a_proxy(site, header):
    """/metrics is closed to what another proxy forwards"""
    reply = site.get("/metrics", headers={header: "127.0.0.1"})
    assert reply.status == 403 and reply.json()["code"], reply


@contextlib.contextmanager
def other_host():
    """A network namespace with a veth pair: gives (our address, the words before a command that runs there)."""
    ip = need.network_namespaces()
    name, ours, theirs = f"futaie{os.getpid()}", "10.213.77.1", "10.213.77.2"

    def run(*words):
        subprocess.run([ip, *words], check=True, capture_output=True)
    run("netns", "add", name)
    try:
        run("link", "add", "futaie-a", "type", "veth", "peer", "name", "futaie-b", "netns", name)
        run("address", "add", f"{ours}/30", "dev", "futaie-a")
        run("link", "set", "futaie-a", "up")
        run("-netns", name, "address", "add", f"{theirs}/30", "dev", "futaie-b")
        run("-netns", name, "link", "set", "futaie-b", "up")
        yield ours, [ip, "netns", "exec", name]
    finally:
        subprocess.run([ip, "link", "delete", "futaie-a"], capture_output=True, check=False)
        run("netns", "delete", name)


ALLOWED = {"lighttpd": r"127\.[0-9.]+|::1|10\.213\.77\.2", "apache": "127.0.0.0/8 ::1 10.213.77.2"}


def test_metrics_from_another_host(front):
    """/metrics is closed to another host, /predict is open to it, and a configured address may read /metrics"""
    with other_host() as (address, there):
        for allowed, status in (({}, 403), ({"metrics_from": ALLOWED[front]}, 200)):
            with stack.Site(models.SHIPPED, settings={"bind": "0.0.0.0", **allowed}, front=front) as wide:
                def from_there(path, *words):
                    return status_from(there, f"http://{address}:{wide.http_port}{path}", *words)
                assert from_there("/metrics") == status
                assert from_there("/predict", *post()) == 200
                if status == 403:
                    for other in ("//metrics", "/./metrics", "/x/../metrics", "/%6detrics", "/metrics/", "/metrics?x=y", "/metrics%3f"):
                        assert from_there(other, "--path-as-is") in (400, 403, 404), other
                    assert from_there("/metrics", "--header", "X-Forwarded-For: 127.0.0.1") == 403


def status_from(there, *words):
    run = subprocess.run([*there, "curl", "--silent", "--max-time", "5", "--output", "/dev/null", "--write-out", "%{http_code}", *words],
                         capture_output=True, text=True, check=False)
    assert run.returncode == 0, run
    return int(run.stdout)


# Request ids and logs

def access_line(site, wanted):
    """The line of the access log that holds this text in one of its values; it may be written a little later."""
    site.front.write_logs()

    def look():
        return next((line for line in site.front.access_lines() if any(wanted in str(value) for value in line.values())), None)
    return stack.wait_for(f"an access log line with {wanted}", look, 10)


def test_request_id(site):
    """The same request id stands in the answer, in the access log and in the application's log"""
    reply = site.post("/predict", EXAMPLE_BODY)
    request_id = reply.headers["x-request-id"]
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,128}", request_id), request_id
    line = access_line(site, request_id)
    assert any(value == request_id for value in line.values()), line
    logged = stack.wait_for("the application's log line", lambda: [entry for entry in site.app.log_lines() if entry.get("request_id") == request_id], 10)
    assert len(logged) == 1 and (logged[0]["path"], logged[0]["status"]) == ("/predict", 200), logged


def test_request_ids_differ(site):
    """Each answer has its own request id, errors too"""
    ids = [site.post("/predict", "{").headers["x-request-id"] for _ in range(50)]
    assert len(set(ids)) == 50, ids


def test_bad_request_id(site):
    """A request id that a client makes up cannot forge log lines"""
    for made_up in ('"}{"forged": "1', "x" * 5000, "a b", "\x7f", "é"):
        reply = http.exchange(site.http_port, http.head("GET", "/healthz", X_Request_Id=made_up, Connection="close"))[0]
        assert reply.headers.get("x-request-id") != made_up, reply.headers
    assert all("forged" not in line for line in site.app.log_lines())


def test_access_log(site):
    """Every line of the access log is a JSON object with method, path and status, whatever a client sends"""
    odd = ['/a"b', "/a\\b", "/%22%5c%0a", "/\u00e9", '/x?"y"', "/%f0%9f%8c%b3", "/marker-of-the-last"]
    for path in odd:
        data = f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: \"quoted\\\" {chr(0xe9)}\r\nReferer: {{\"a\":1}}\r\nConnection: close\r\n\r\n"
        http.exchange(site.http_port, data.encode("utf-8"))
    last = access_line(site, "/marker-of-the-last")
    assert {"method", "path", "status"} <= last.keys(), last
    assert (last["method"], int(last["status"])) == ("GET", 404), last


def test_application_log(site):
    """Every line of the application's log is a JSON object with time, level and event"""
    site.post("/predict", EXAMPLE_BODY)
    site.post("/predict", "{")
    site.request("GET", '/a"b\\c%0a')
    for line in site.app.log_lines():
        assert {"time", "level", "event"} <= line.keys(), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"]), line
    requests = [line for line in site.app.log_lines() if "duration_us" in line]
    assert {"request_id", "method", "path", "status", "duration_us"} <= requests[-1].keys(), requests[-1]


def test_secrets_are_not_logged(site):
    """Neither bodies nor credentials are logged"""
    site.post("/predict", '{"features": [["s3cret-value"]]}', headers={"Authorization": "Bearer s3cret-token", "Cookie": "s3cret-cookie"})
    access_line(site, "/predict")
    assert "s3cret" not in site.app.log() and "s3cret" not in site.front.access_log.read_text()
