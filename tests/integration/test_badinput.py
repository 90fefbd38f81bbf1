"""test_badinput.py - what a client must not send: a 4xx that says what and where, and the next request is served

Most go through the web server. A lying Content-Length, an abort, a silent peer go straight to the application as well, from a FastCGI
client that lies: what lighttpd stops today another web server may pass on tomorrow.
"""
import contextlib
import json
import random
import time

import pytest

from lib import fcgi, http, models, stack
from lib.models import EXAMPLE, EXAMPLE_BODY, EXAMPLE_OBJECT, FEATURES

BODY = json.dumps(EXAMPLE_BODY)
CELLS = json.dumps(EXAMPLE)
MIB = 1024 * 1024
BODY_MAX = 32 * MIB

# A process may keep its buffers and its allocator's arenas: memory is flat when it stays below this.
FLAT_KIB = 24 * 1024


@pytest.fixture(autouse=True)
def the_next_request_is_served(request):
    """Whatever a test has sent, what it was sent to answers the example row afterwards, from the same process."""
    asked = [request.getfixturevalue(name) for name in ("site", "california") if name in request.fixturenames]
    pids = [application(part).pid for part in asked]
    yield
    for part, pid in zip(asked, pids):
        reply = part.request("POST", "/predict", EXAMPLE_BODY)
        assert reply.status == 200 and reply.json()["model"] == models.CALIFORNIA, reply
        assert application(part).running() and application(part).pid == pid


def application(part):
    return part.app if isinstance(part, stack.Site) else part


def refused(reply, status, code, **where):
    """Demands this status and code, a sentence, and the row and feature where they apply. Gives back the sentence. JSON that is none
    may be found anywhere, so that its row and feature are free."""
    assert reply.status == status, f"{reply}, expected {status} {code}"
    error = reply.json()
    assert error["code"] == code, f"{reply}, expected {code}"
    if code != "bad_json":
        assert {name: error.get(name) for name in ("row", "feature") if name in where or name in error} == where, reply
    assert len(error["error"]) > 10 and "\n" not in error["error"], reply
    assert reply.headers["content-type"] == "application/json", reply.headers
    return error["error"]


def refuse_json(site, body, code, status=400, **where):
    return refused(site.post("/predict", body), status, code, **where)


def refuse_csv(site, text, code, status=400, **where):
    return refused(site.post("/predict", text, "text/csv"), status, code, **where)


def with_first_cell(text):
    """The example body with `text` in place of its first number."""
    return BODY.replace("8.3252", text, 1)


def with_object(text):
    """A body whose one row is the object with these members."""
    return '{"features": [{%s}]}' % text


MEMBERS = json.dumps(EXAMPLE_OBJECT)[1:-1]


# JSON that is none

def test_truncated(site):
    """Every prefix of a valid body gives 400"""
    for body in (BODY, json.dumps({"features": [EXAMPLE_OBJECT]})):
        for end in range(len(body)):
            reply = site.post("/predict", body[:end])
            assert (reply.status, reply.json()["code"]) == (400, "bad_json"), f"{body[:end]!r} gave {reply}"


def test_empty_body(site):
    """An empty body gives 400"""
    assert "empty" in refuse_json(site, "", "bad_json")


@pytest.mark.parametrize("opening", ["[", "{\"a\":", "{\"features\":[", "{\"features\": [[", "[{\"a\":"], ids=lambda text: text.replace('"', "'"))
def test_deep(site, opening):
    """Nesting 100,000 deep gives 400"""
    reply = site.post("/predict", opening * 100_000)
    assert reply.status == 400, reply
    assert reply.json()["code"] in ("bad_json", "wrong_type", "unknown_field", "missing_feature", "unknown_feature"), reply


NOT_JSON = {
    "01": "01", "-01": "-01", "1.": "1.", "+1": "+1", ".5": ".5", "-": "-", "1e": "1e", "1e+": "1e+", "0x10": "0x10", "1_000": "1_000",
    "--1": "--1", "1.5.2": "1.5.2", "nan": "nan", "True": "True", "None": "None", "undefined": "undefined",
    "single quotes": "'8'", "a comment": "8 /* years */", "a line comment": "8 // years\n", "two commas": "8,,",
    "a raw control character": "\x01 8", "a NUL": "\0 8", "a form feed": "\f8", "a no-break space": "\u00a08",
    "a colon": "8: 9", "a semicolon": "8; 9", "a closing brace": "8}",
}


@pytest.mark.parametrize("text", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_not_json(site, text):
    """What is not JSON gives 400 and its place"""
    sentence = refuse_json(site, with_first_cell(text), "bad_json")
    assert "line" in sentence and "column" in sentence, sentence


STRINGS = {"an unclosed string": '"8', "a raw newline": '"8\n"', "a raw tab": '"8\t"', "an unknown escape": '"\\x41"', "half an escape": '"\\u00"',
           "a lone surrogate": '"\\ud800"', "a surrogate pair the wrong way round": '"\\udc00\\ud800"'}


@pytest.mark.parametrize("text", STRINGS.values(), ids=STRINGS.keys())
def test_not_a_string(site, text):
    """What is no JSON string gives 400 in a name, and in place of a number too"""
    refuse_json(site, with_object(MEMBERS).replace('"MedInc"', text), "bad_json")
    reply = site.post("/predict", with_first_cell(text))
    assert (reply.status, reply.json()["code"]) in ((400, "bad_json"), (400, "wrong_type")), reply


AROUND = {
    "a byte order mark": "\ufeff" + BODY, "trailing garbage": BODY + "x", "two documents": BODY + BODY, "two documents on two lines": BODY + "\n" + BODY,
    "a trailing comma in the row": BODY.replace("]]", ",]]"), "a trailing comma in the rows": BODY.replace("]]", "],]"),
    "a trailing comma in the object": BODY.replace("]}", "],}"), "a leading comma": BODY.replace("[[", "[,["),
    "no comma": BODY.replace(", ", " "), "no colon": BODY.replace(":", ""), "an unquoted name": BODY.replace('"', ""),
    "single quotes": BODY.replace('"', "'"), "a comment": "/* rows */" + BODY, "a hash comment": "# rows\n" + BODY,
    "a NUL behind it": BODY + "\0", "only white space": " \n\t ", "UTF-16": BODY.encode("utf-16"), "a closing bracket": BODY + "]",
}


@pytest.mark.parametrize("body", AROUND.values(), ids=AROUND.keys())
def test_document(site, body):
    """A body that is not exactly one JSON document gives 400"""
    refuse_json(site, body, "bad_json")


INVALID_UTF8 = {"a lone continuation": b"\x80", "an overlong slash": b"\xc0\xaf", "a surrogate": b"\xed\xa0\x80", "beyond Unicode": b"\xf4\x90\x80\x80",
                "a cut sequence": b"\xe2\x82", "Latin-1": b"\xe9", "0xff": b"\xff"}


@pytest.mark.parametrize("bad", INVALID_UTF8.values(), ids=INVALID_UTF8.keys())
def test_invalid_utf8(site, bad):
    """Invalid UTF-8 gives 400, in a name, in a value and outside of strings"""
    for body in (BODY.encode().replace(b"features", b"feat" + bad + b"ures"), with_object(MEMBERS).encode().replace(b"MedInc", b"Med" + bad + b"Inc"),
                 BODY.encode().replace(b"8.3252", bad, 1), BODY.encode() + bad):
        refuse_json(site, body, "bad_json")
    reply = site.post("/predict", BODY.encode().replace(b"8.3252", b'"' + bad + b'"', 1))
    assert (reply.status, reply.json()["code"]) in ((400, "bad_json"), (400, "wrong_type")), reply


def test_nul_in_name(site):
    """\\u0000 in a name gives 400, also where the rest is a known name"""
    for body in (with_object(MEMBERS).replace("MedInc", "MedInc\\u0000"), with_object(MEMBERS).replace("MedInc", "MedInc\\u0000x"),
                 BODY.replace("features", "features\\u0000")):
        refuse_json(site, body, "bad_json")


def test_control_characters_in_name(site):
    """A raw control character in a name gives 400"""
    for code in [*range(1, 32)]:
        refuse_json(site, with_object(MEMBERS).replace("MedInc", "MedInc" + chr(code)), "bad_json")


# Numbers that float32 does not have

TOO_LARGE = ["1e999", "-1e999", "3.5e38", "-3.5e38", "3.4028236e38", "1e39", "1" + "0" * 400, "1e99999999999999999999"]


@pytest.mark.parametrize("text", TOO_LARGE, ids=lambda text: text[:12])
def test_beyond_float32(site, text):
    """A number beyond float32 gives 400 with its row and feature"""
    refuse_json(site, with_first_cell(text), "bad_number", row=0, feature="MedInc")
    refuse_json(site, with_object(MEMBERS.replace("8.3252", text)), "bad_number", row=0, feature="MedInc")


@pytest.mark.parametrize("text", ["Infinity", "-Infinity"])
def test_infinity(site, text):
    """Infinity gives 400 with its row and feature"""
    refuse_json(site, with_first_cell(text), "bad_number", row=0, feature="MedInc")
    refuse_json(site, with_object(MEMBERS.replace("-122.23", text)), "bad_number", row=0, feature="Longitude")


# Values of the wrong type

@pytest.mark.parametrize("text", ['"8.3252"', '""', '"NaN"', "true", "false", "[8.3252]", '{"MedInc": 8.3252}', "[]", "{}"],
                         ids=lambda text: text.replace('"', "'"))
def test_wrong_type(site, text):
    """What is no number gives 400 with its row and feature"""
    refuse_json(site, with_first_cell(text), "wrong_type", row=0, feature="MedInc")
    refuse_json(site, with_object(MEMBERS.replace("37.88", text)), "wrong_type", row=0, feature="Latitude")


def test_wrong_type_far_down(site):
    """The row and feature of an error are those of the value, in any row"""
    rows = [[*EXAMPLE] for _ in range(50)]
    rows[37][4] = "many"
    assert "37" in refuse_json(site, {"features": rows}, "wrong_type", row=37, feature="Population")


@pytest.mark.parametrize("row", ["8", '"row"', "null", "true", "NaN"], ids=lambda text: text.replace('"', "'"))
def test_row_of_wrong_type(site, row):
    """A row that is neither array nor object gives 400 with its number"""
    refuse_json(site, '{"features": [%s, %s]}' % (CELLS, row), "wrong_type", row=1)


@pytest.mark.parametrize("features", ["8", '"rows"', "null", "true", "{}", '{"MedInc": 8}'], ids=lambda text: text.replace('"', "'"))
def test_features_of_wrong_type(site, features):
    """`features` that is no array gives 400"""
    refuse_json(site, '{"features": %s}' % features, "wrong_type")


@pytest.mark.parametrize("body", ["8", '"features"', "null", "true", "[]", f"[{CELLS}]", CELLS, "NaN"], ids=lambda text: text[:12].replace('"', "'"))
def test_document_of_wrong_type(site, body):
    """A document that is no object gives 400"""
    refuse_json(site, body, "wrong_type")


# Rows that do not fit

def test_no_rows(site):
    """An empty rows array gives 400"""
    refuse_json(site, {"features": []}, "no_rows")


def test_empty_row(site):
    """An empty row gives 400"""
    refuse_json(site, {"features": [[]]}, "wrong_feature_count", row=0)


@pytest.mark.parametrize("count", [1, 7, 9, 20, 10_000])
def test_wrong_count(site, count):
    """A row of too few or too many values gives 400 with both numbers"""
    sentence = refuse_json(site, {"features": [[1.0] * count]}, "wrong_feature_count", row=0)
    assert "8" in sentence, sentence


def test_ragged(site):
    """Ragged rows give 400 with the row that differs"""
    refuse_json(site, {"features": [EXAMPLE, EXAMPLE, EXAMPLE[:-1], EXAMPLE]}, "wrong_feature_count", row=2)
    refuse_json(site, {"features": [EXAMPLE, [*EXAMPLE, 1]]}, "wrong_feature_count", row=1)


def test_unknown_feature(site):
    """An unknown feature gives 400 with its name"""
    sentence = refuse_json(site, {"features": [EXAMPLE_OBJECT | {"Colour": 1}]}, "unknown_feature", row=0, feature="Colour")
    assert "Colour" in sentence, sentence


def test_similar_feature(site):
    """A feature name in other letters is unknown"""
    for name in ("medinc", "MedInc ", "MedIn", "MedIncc", "Med Inc"):
        renamed = {name if feature == "MedInc" else feature: value for feature, value in EXAMPLE_OBJECT.items()}
        refuse_json(site, {"features": [renamed]}, "unknown_feature", row=0, feature=name)


def test_missing_feature(site):
    """A feature that is not there gives 400 with its name"""
    for name in FEATURES:
        rest = {feature: value for feature, value in EXAMPLE_OBJECT.items() if feature != name}
        refuse_json(site, {"features": [EXAMPLE_OBJECT, rest]}, "missing_feature", row=1, feature=name)


def test_empty_object_row(site):
    """An empty object row gives 400 with the first feature that is missing"""
    refuse_json(site, {"features": [{}]}, "missing_feature", row=0, feature="MedInc")


def test_repeated_feature(site):
    """A repeated feature gives 400 with its name, however it is written"""
    for again in ('"MedInc": 1', '"MedInc": 8.3252', '"MedI\\u006ec": 1', '"MedInc": null'):
        refuse_json(site, with_object(MEMBERS + ", " + again), "repeated_feature", row=0, feature="MedInc")


def test_unknown_feature_name_is_cut(site):
    """A very long feature name is refused, and cut in the error"""
    reply = site.post("/predict", {"features": [EXAMPLE_OBJECT | {"x" * 100_000: 1}]})
    assert (reply.status, reply.json()["code"]) == (400, "unknown_feature"), reply
    assert len(reply.body) < 4096, len(reply.body)


def test_strange_feature_name(site):
    """A feature name of quotes, controls and other scripts comes back as valid JSON"""
    for name in ('"', "\\", "\n", "<script>", "δ", "\U0001f333", "\u2028", "é" * 200):
        reply = site.post("/predict", {"features": [EXAMPLE_OBJECT | {name: 1}]})
        assert (reply.status, reply.json()["code"]) == (400, "unknown_feature"), reply
        assert name.startswith(reply.json()["feature"].rstrip("…")[:40]), reply


# Fields of the document

def test_unknown_field(site):
    """An unknown field gives 400 with its name"""
    assert "rows" in refuse_json(site, {"features": [EXAMPLE], "rows": 1}, "unknown_field")


def test_missing_field(site):
    """A document without `features` gives 400"""
    assert "features" in refuse_json(site, {}, "missing_field")


def test_repeated_field(site):
    """`features` twice gives 400"""
    assert "features" in refuse_json(site, '{"features": [%s], "features": [%s]}' % (CELLS, CELLS), "repeated_field")


@pytest.mark.parametrize("query", ["output=raw", "output=", "output", "output=margin&output=value", "output=MARGIN", "output=margin%20"])
def test_bad_parameter(site, query):
    """A bad query parameter gives 400"""
    reply = site.post("/predict?" + query, EXAMPLE_BODY)
    refused(reply, 400, "bad_parameter")


def test_other_parameters(site):
    """Other names in a query do not matter"""
    assert site.post("/predict?colour=red&outputs=x&x", EXAMPLE_BODY).status == 200


# CSV

HEADER = ",".join(FEATURES)
LINE = ",".join(map(str, EXAMPLE))
CSV = f"{HEADER}\n{LINE}\n"


@pytest.mark.parametrize("cell", ["many", "1.2.3", "1e", "0x10", "1 2", "--1", "true", "null", "1;2", "'1'"])
def test_csv_bad_cell(site, cell):
    """A bad cell of a CSV gives 400 with line and column"""
    lines = [HEADER, LINE, LINE, LINE.replace("41", cell, 1), LINE]
    sentence = refuse_csv(site, "\n".join(lines), "bad_csv", row=2, feature="HouseAge")
    assert "line 4" in sentence and "column 2" in sentence, sentence


@pytest.mark.parametrize("cell", ["inf", "Infinity", "-inf", "1e999", "3.5e38"])
def test_csv_bad_number(site, cell):
    """A cell beyond float32 gives 400 with line and column"""
    sentence = refuse_csv(site, CSV + LINE.replace("-122.23", cell) + "\n", "bad_number", row=1, feature="Longitude")
    assert "line 3" in sentence and "column 8" in sentence, sentence


def test_csv_ragged(site):
    """A CSV line of too few or too many cells gives 400 with its line"""
    for line in (LINE.rsplit(",", 1)[0], LINE + ",1", "8.3"):
        assert "line 3" in refuse_csv(site, CSV + line + "\n" + LINE, "wrong_feature_count", row=1)


def test_csv_no_rows(site):
    """A CSV of only a header gives 400"""
    for text in (HEADER, HEADER + "\n", HEADER + "\r\n\r\n"):
        refuse_csv(site, text, "no_rows")


def test_csv_empty(site):
    """An empty CSV gives 400"""
    for text in ("", "\n", "\ufeff", "\r\n\r\n"):
        reply = site.post("/predict", text, "text/csv")
        assert (reply.status, reply.json()["code"]) in ((400, "bad_csv"), (400, "missing_feature"), (400, "no_rows")), reply


def test_csv_without_header(site):
    """A CSV without a header gives 400"""
    reply = site.post("/predict", LINE + "\n" + LINE + "\n", "text/csv")
    assert (reply.status, reply.json()["code"]) == (400, "unknown_feature"), reply
    assert "8.3252" in reply.json()["error"] and "header" in reply.json()["error"], reply


def test_csv_unknown_name(site):
    """An unknown name in a CSV header gives 400"""
    refuse_csv(site, CSV.replace("MedInc", "Income"), "unknown_feature", feature="Income")
    refuse_csv(site, f"{HEADER},Colour\n{LINE},1\n", "unknown_feature", feature="Colour")


def test_csv_repeated_name(site):
    """A repeated name in a CSV header gives 400"""
    refuse_csv(site, f"{HEADER},MedInc\n{LINE},1\n", "repeated_feature", feature="MedInc")


def test_csv_missing_name(site):
    """A name that a CSV header lacks gives 400"""
    refuse_csv(site, CSV.replace("MedInc,", "").replace("8.3252,", ""), "missing_feature", feature="MedInc")


@pytest.mark.parametrize("line", ['"8', '"8"x', '8"', 'x"8"'], ids=["never closed", "text behind it", "at the end", "in the middle"])
def test_csv_quotes(site, line):
    """A CSV quote in the wrong place gives 400"""
    reply = site.post("/predict", CSV + LINE.replace("8.3252", line) + "\n", "text/csv")
    assert (reply.status, reply.json()["code"], reply.json()["row"]) == (400, "bad_csv", 1), reply
    assert "line 3" in reply.json()["error"], reply


def test_csv_truncated(site):
    """No prefix of a CSV gives a wrong answer"""
    whole = site.post("/predict", CSV, "text/csv").json()["predictions"]
    for end in range(len(CSV)):
        reply = site.post("/predict", CSV[:end], "text/csv")
        assert reply.status == 400 or CSV[:end].count(",") == CSV.count(","), f"{CSV[:end]!r} gave {reply}"
        assert reply.status == 400 or len(reply.json()["predictions"]) == len(whole), reply


def test_csv_binary(site):
    """A CSV of random bytes gives 400"""
    for seed in range(20):
        body = bytes((index * (seed + 3) * 7 + index // 5) % 256 for index in range(2000))
        assert site.post("/predict", body, "text/csv").status == 400
        assert site.post("/predict", HEADER.encode() + b"\n" + body, "text/csv").status == 400


def test_csv_nul(site):
    """A NUL in a CSV gives 400"""
    for text in (CSV.replace("8.3252", "8\0"), CSV.replace("MedInc", "MedInc\0"), CSV + "\0"):
        assert site.post("/predict", text, "text/csv").status == 400, text


# Size

def chunked(pieces):
    for piece in pieces:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def streamed(port, head, pieces):
    """The first reply to a body that may be cut off while it is sent."""
    def parts():
        yield head
        yield from pieces
    return http.exchange(port, parts(), timeout_s=30)[0]


@pytest.mark.limit(60)
def test_gigabyte(site):
    """A body of a gigabyte gives 413, and memory stays flat"""
    before = site.app.rss_kib(), site.front.rss_kib()
    block = b" " * MIB
    reply = streamed(site.http_port, http.head("POST", "/predict", Content_Length=1024 * MIB), (block for _ in range(1024)))
    refused(reply, 413, "body_too_large")
    after = site.app.rss_kib(), site.front.rss_kib()
    assert stack.SANITIZED or all(now < then + FLAT_KIB for then, now in zip(before, after)), f"{before} KiB before, {after} KiB after"


@pytest.mark.limit(60)
def test_gigabyte_chunked(site):
    """A chunked body of a gigabyte gives 413, and memory stays flat"""
    before = site.app.rss_kib(), site.front.rss_kib()
    block = b" " * MIB
    reply = streamed(site.http_port, http.head("POST", "/predict", Transfer_Encoding="chunked"), chunked(block for _ in range(1024)))
    refused(reply, 413, "body_too_large")
    after = site.app.rss_kib(), site.front.rss_kib()
    assert stack.SANITIZED or all(now < then + FLAT_KIB for then, now in zip(before, after)), f"{before} KiB before, {after} KiB after"


@pytest.mark.limit(60)
@pytest.mark.parametrize("promised", [1024 * MIB, 10, None, 2**63, -1], ids=["promised", "promised as 10", "not promised", "as 2^63", "as -1"])
def test_gigabyte_at_the_application(california, promised):
    """A gigabyte straight to the application is cut off, and memory stays flat"""
    peak, block = california.peak_kib(), b" " * (fcgi.CONTENT_MAX - 7)
    with california.peer(timeout_s=30) as peer:
        peer.begin().params(fcgi.parameters_of("POST", "/predict", promised, "application/json"))
        try:
            for _ in range(1024 * MIB // len(block)):
                peer.stdin(block)
            peer.end_stdin()
        except (BrokenPipeError, ConnectionResetError):
            pass
        reply = peer.reply()
    assert reply.status in (400, 413, None), reply
    # One more body at its largest is all that the worker may have taken.
    assert stack.SANITIZED or california.peak_kib() < peak + BODY_MAX // 1024 + FLAT_KIB, f"{peak} KiB before, {california.peak_kib()} KiB after"


def test_just_too_large(site):
    """A body one byte over 32 MiB gives 413, of 32 MiB it is read"""
    start = BODY[:-1].encode()
    assert site.post("/predict", start + b" " * (BODY_MAX - len(start) - 1) + b"}").status == 200
    reply = http.exchange(site.http_port, [http.head("POST", "/predict", Content_Length=BODY_MAX + 1), start], timeout_s=5)[0]
    refused(reply, 413, "body_too_large")


def test_just_too_large_at_the_application(california):
    """The application itself refuses a body over 32 MiB with 413"""
    reply = california.request("POST", "/predict", b" " * (BODY_MAX + 1), "application/json")
    refused(reply, 413, "body_too_large")


RAISED = {"lighttpd": {"body_max_kib": 65536}, "apache": {"body_max_bytes": 65536 * 1024}}


def test_raised_limit_of_the_web_server(front):
    """Where the web server lets more pass than the application, the application's own 413 answers, with a length and without"""
    block = b" " * MIB
    with stack.Site(models.SHIPPED, settings=RAISED[front], front=front) as lenient:
        for head, pieces in ((http.head("POST", "/predict", Content_Length=60 * MIB, Connection="close"), (block for _ in range(60))),
                             (http.head("POST", "/predict", Transfer_Encoding="chunked", Connection="close"), chunked(block for _ in range(60)))):
            reply = streamed(lenient.http_port, head, pieces)
            refused(reply, 413, "body_too_large")
            assert "x-request-id" in reply.headers, reply.headers


def test_own_limit(fresh):
    """--body-max-bytes and --rows-max are kept to"""
    app = fresh(models.SHIPPED, ["--body-max-bytes", "4096", "--rows-max", "3"])
    assert app.request("POST", "/predict", {"features": [EXAMPLE] * 3}).status == 200
    refused(app.request("POST", "/predict", {"features": [EXAMPLE] * 4}), 413, "too_many_rows")
    refused(app.request("POST", "/predict", BODY + " " * 4096, "application/json"), 413, "body_too_large")


# Lengths that lie

LIES = {"one more": 1, "many more": 10_000, "a gigabyte more": 1024 * MIB, "one less": -1, "none": -len(BODY)}


@pytest.mark.parametrize("difference", LIES.values(), ids=LIES.keys())
def test_lying_length_at_the_application(california, difference):
    """A CONTENT_LENGTH that lies gives 4xx"""
    with california.peer() as peer:
        peer.begin().params(fcgi.parameters_of("POST", "/predict", len(BODY) + difference, "application/json"))
        reply = peer.stdin(BODY.encode()).end_stdin().reply()
    refused(reply, *((413, "body_too_large") if difference > BODY_MAX else (400, "incomplete_body")))


@pytest.mark.parametrize("length", ["abc", "-1", "1e3", "0x10", " 96", "96 ", "+96", "99999999999999999999999", "9223372036854775808"])
def test_nonsense_length_at_the_application(california, length):
    """A CONTENT_LENGTH that is no number gives 4xx"""
    with california.peer() as peer:
        peer.begin().params(fcgi.parameters_of("POST", "/predict", length, "application/json"))
        reply = peer.stdin(BODY.encode()).end_stdin().reply()
    assert reply.status in (400, 413), reply


def test_longer_than_promised(site):
    """Bytes behind the promised length are no part of the body"""
    data = http.head("POST", "/predict", Content_Length=len(BODY)) + BODY.encode() + b"GARBAGE\r\n\r\n"
    answers = http.exchange(site.http_port, data)
    assert answers[0].status == 200, answers
    assert all(answer.status == 400 for answer in answers[1:]), answers


def test_shorter_than_promised(site):
    """A body shorter than its Content-Length gets a closed connection or a 4xx"""
    with http.connect(site.http_port) as connection:
        connection.sendall(http.head("POST", "/predict", Content_Length=len(BODY) + 1) + BODY.encode())
        connection.shutdown(1)
        answers = http.replies(http.everything(connection))
    assert all(400 <= answer.status < 500 for answer in answers), answers


@pytest.mark.parametrize("length", ["-1", "+10", "abc", "1e3", "0x10", "10, 10", "99999999999999999999999"])
def test_nonsense_length(site, length):
    """A Content-Length that is no number gets 4xx and a JSON body"""
    answer = http.exchange(site.http_port, http.head("POST", "/predict", Content_Length=length) + BODY.encode())[0]
    assert 400 <= answer.status < 500, answer
    assert answer.json()["code"] and answer.json()["error"], answer


# Chunks, slowness, silence

def test_chunked(site):
    """A chunked body is read"""
    data = http.head("POST", "/predict", Transfer_Encoding="chunked", Connection="close")
    data += b"".join(chunked([BODY[:10].encode(), BODY[10:].encode()]))
    assert http.exchange(site.http_port, data)[0].status == 200


def test_chunk_by_byte(site):
    """A body of one-byte chunks is read"""
    data = http.head("POST", "/predict", Transfer_Encoding="chunked", Connection="close")
    assert http.exchange(site.http_port, data + b"".join(chunked([bytes([byte]) for byte in BODY.encode()])))[0].status == 200


@pytest.mark.parametrize("data", [b"zz\r\nabc\r\n0\r\n\r\n", b"-5\r\nabcde\r\n0\r\n\r\n", b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n", b"3\r\nabcdef\r\n0\r\n\r\n"],
                         ids=["no number", "negative", "huge", "too short"])
def test_bad_chunks(site, data):
    """A chunk of a bad size gets 4xx"""
    answers = http.exchange(site.http_port, http.head("POST", "/predict", Transfer_Encoding="chunked", Connection="close") + data)
    assert answers and all(400 <= answer.status < 500 for answer in answers), answers


def test_chunks_that_end(site):
    """A chunked body that ends in the middle gets a closed connection or a 4xx"""
    with http.connect(site.http_port) as connection:
        connection.sendall(http.head("POST", "/predict", Transfer_Encoding="chunked") + b"60\r\n" + BODY[:20].encode())
        connection.shutdown(1)
        answers = http.replies(http.everything(connection))
    assert all(400 <= answer.status < 500 for answer in answers), answers


def test_cut_chunks_behind_apache():
    """Chunks that end in the middle, which Apache passes on as they come, are counted as incomplete_body"""
    with stack.Site(models.SHIPPED, front="apache") as site:
        with http.connect(site.http_port) as connection:
            connection.sendall(http.head("POST", "/predict", Transfer_Encoding="chunked") + b"ffff\r\n" + b" " * 40_000)
        stack.wait_for("the failure to be counted", lambda: 'code="incomplete_body"} 1' in site.get("/metrics").text())


def test_one_byte_a_second(site):
    """A client that sends one byte a second keeps nobody waiting, and is answered in the end"""
    data = http.head("POST", "/predict", Content_Length=len(BODY), Connection="close") + BODY.encode()
    with http.connect(site.http_port) as slow:
        slow.sendall(data[:-3])
        for byte in data[-3:]:
            time.sleep(1)
            started = time.monotonic()
            assert site.post("/predict", EXAMPLE_BODY).status == 200
            assert time.monotonic() - started < 0.5
            slow.sendall(bytes([byte]))
        assert http.replies(http.everything(slow))[0].status == 200


def test_slow_chunks_by_many(front):
    """Clients that stop in the middle of their chunks keep nobody waiting who tells a length"""
    with stack.Site(models.SHIPPED, ["--threads", "2"], front=front) as small, contextlib.ExitStack() as slow:
        for _ in range(4):
            slow.enter_context(http.connect(small.http_port)).sendall(http.head("POST", "/predict", Transfer_Encoding="chunked") + b"5\r\n{    \r\n")
        time.sleep(0.3)
        assert small.post("/predict", EXAMPLE_BODY).status == 200


def test_one_byte_a_second_at_the_application(fresh):
    """Peers that send one byte a second do not take every worker for ever"""
    app = fresh(models.SHIPPED, ["--threads", "2", "--io-timeout", "1"])
    peers = [app.peer().begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json")) for _ in range(2)]
    for peer in peers:
        peer.stdin(b"{")
    started = time.monotonic()
    assert app.request("POST", "/predict", EXAMPLE_BODY, timeout_s=15).status == 200
    assert time.monotonic() - started < 5, "silent peers kept the workers longer than --io-timeout says"
    for peer in peers:
        peer.close()


SILENT = {
    "before its first byte": lambda peer: peer,
    "in the middle of a record": lambda peer: peer.send(fcgi.record(fcgi.BEGIN_REQUEST, bytes(8))[:5]),
    "before its parameters end": lambda peer: peer.begin().params({"REQUEST_METHOD": "POST"}, end=False),
    "before its body": lambda peer: peer.begin().params(fcgi.parameters_of("POST", "/predict", 100, "application/json")),
}


@pytest.mark.parametrize("step", SILENT.values(), ids=SILENT.keys())
def test_silent_peer(fresh, step):
    """A peer that falls silent gives its worker back"""
    app = fresh(models.SHIPPED, ["--threads", "1", "--io-timeout", "1"])
    with app.peer() as peer:
        step(peer)
        time.sleep(0.1)
        started = time.monotonic()
        assert app.request("POST", "/predict", EXAMPLE_BODY, timeout_s=15).status == 200
        assert time.monotonic() - started < 5, "a silent peer kept the worker longer than --io-timeout says"


def test_peer_that_does_not_read(fresh):
    """A peer that does not read its answer gives its worker back"""
    app = fresh(models.SHIPPED, ["--threads", "1", "--io-timeout", "1"])
    body = json.dumps({"features": [EXAMPLE] * 50_000}).encode()
    with app.peer() as peer:
        peer.begin().params(fcgi.parameters_of("POST", "/predict", len(body), "application/json")).stdin(body).end_stdin()
        time.sleep(0.2)
        started = time.monotonic()
        assert app.request("POST", "/predict", EXAMPLE_BODY, timeout_s=15).status == 200
        assert time.monotonic() - started < 5, "a peer that does not read kept the worker longer than --io-timeout says"


# Clients that go away

def flat_after(app, rounds, step):
    """Does `step` a few times to warm up and then `rounds` times: memory and descriptors must not grow. For flatness in the small, no
    one request may leave more than a KiB behind."""
    for _ in range(10):
        step()
    settle(app)
    before = app.rss_kib(), app.descriptors(), app.threads()
    for _ in range(rounds):
        step()
    settle(app)
    after = app.rss_kib(), app.settled_descriptors(before[1]), app.threads()
    assert stack.SANITIZED or after[0] <= before[0] + max(rounds, 256), f"resident memory: {before[0]} KiB before, {after[0]} KiB after"
    assert after[1] <= before[1], f"descriptors: {before[1]} before, {after[1]} after"
    assert after[2] == before[2], f"threads: {before[2]} before, {after[2]} after"


def settle(app):
    """Connections whose peer has gone are closed soon; an answered request shows that the workers are back."""
    for _ in range(8):
        assert app.request("POST", "/predict", EXAMPLE_BODY).status == 200
    time.sleep(0.1)


def test_client_goes_away(site):
    """A client that goes away in the middle of its body, 100 times, leaves nothing behind"""
    def step():
        with http.connect(site.http_port) as connection:
            connection.sendall(http.head("POST", "/predict", Content_Length=len(BODY)) + BODY[:40].encode())
    flat_after(site.app, 100, step)


def test_client_does_not_wait(site):
    """A client that goes away before its answer, 100 times, leaves nothing behind"""
    body = json.dumps({"features": [EXAMPLE] * 200}).encode()

    def step():
        with http.connect(site.http_port) as connection:
            connection.sendall(http.head("POST", "/predict", Content_Length=len(body)) + body)
    flat_after(site.app, 100, step)


LEAVE = {
    "at once": lambda peer: None,
    "before its parameters end": lambda peer: peer.begin().params({"REQUEST_METHOD": "POST"}, end=False),
    "in the middle of a record": lambda peer: peer.begin().send(fcgi.record(fcgi.PARAMS, b"x" * 100)[:50]),
    "before its body": lambda peer: peer.begin().params(fcgi.parameters_of("POST", "/predict", 100, "application/json")),
    "in the middle of its body": lambda peer: peer.begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json")).stdin(BODY[:50].encode()),
    "before its answer": lambda peer: peer.begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json")).stdin(BODY.encode()).end_stdin(),
    "with an abort": lambda peer: peer.begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json")).stdin(BODY[:50].encode()).abort(),
}


@pytest.mark.parametrize("step", LEAVE.values(), ids=LEAVE.keys())
def test_peer_goes_away(california, step):
    """A FastCGI peer that goes away, 100 times, leaves nothing behind"""
    def leave():
        with california.peer() as peer:
            step(peer)
    flat_after(california, 100, leave)


# Peers that lie about the protocol

def test_abort(california):
    """An aborted request gets no prediction"""
    with california.peer() as peer:
        peer.begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json")).stdin(BODY.encode()).abort()
        reply = peer.half_close().reply()
    assert reply.status is None or reply.status >= 400 or b"predictions" not in reply.body, reply


def test_early_end(california):
    """A connection that ends in the middle of the body gets no prediction"""
    with california.peer() as peer:
        peer.begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json")).stdin(BODY[:-1].encode())
        reply = peer.half_close().reply()
    assert reply.status is None or reply.status == 400, reply


ODD = {
    "none at all": {},
    "no method": {"PATH_INFO": "/predict", "CONTENT_LENGTH": len(BODY)},
    "no path": {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": len(BODY)},
    "an empty method": {"REQUEST_METHOD": "", "PATH_INFO": "/predict"},
    "an empty path": {"REQUEST_METHOD": "POST", "PATH_INFO": "", "SCRIPT_NAME": ""},
    "a path without a slash": {"REQUEST_METHOD": "POST", "PATH_INFO": "predict", "SCRIPT_NAME": ""},
    "a path of invalid UTF-8": {"REQUEST_METHOD": "GET", "PATH_INFO": b"/models/\xff\xfe", "SCRIPT_NAME": ""},
    "a path of 60,000 bytes": {"REQUEST_METHOD": "GET", "PATH_INFO": "/models/" + "x" * 60_000, "SCRIPT_NAME": ""},
    "a method of 60,000 bytes": {"REQUEST_METHOD": "X" * 60_000, "PATH_INFO": "/predict", "SCRIPT_NAME": ""},
    "a name without a value": {"REQUEST_METHOD": "GET", "PATH_INFO": "/healthz", "": ""},
    "an equals sign in a name": {"A=B": "C", "REQUEST_METHOD": "GET", "PATH_INFO": "/nowhere", "SCRIPT_NAME": ""},
}


@pytest.mark.parametrize("parameters", ODD.values(), ids=ODD.keys())
def test_odd_parameters(california, parameters):
    """Odd FastCGI parameters end in an answer that is no 5xx, or a closed connection"""
    with california.peer() as peer:
        reply = peer.begin().params(parameters).stdin(BODY.encode()).end_stdin().reply()
    assert reply.status is None or reply.status < 500, reply
    assert b"predictions" not in reply.body, reply


def test_many_parameters(california):
    """Thousands of FastCGI parameters do no harm"""
    parameters = fcgi.parameters_of("POST", "/predict", len(BODY), "application/json") | {f"HTTP_X_{number}": "x" * 20 for number in range(2000)}
    with california.peer() as peer:
        assert peer.begin().params(parameters).stdin(BODY.encode()).end_stdin().reply().status == 200


def test_repeated_parameters(california):
    """Repeated FastCGI parameters do no harm"""
    parameters = [*fcgi.parameters_of("POST", "/predict", len(BODY), "application/json").items()]
    with california.peer() as peer:
        reply = peer.begin().params(parameters + parameters).stdin(BODY.encode()).end_stdin().reply()
    assert reply.status == 200, reply


def test_body_in_small_records(california):
    """A body in one-byte records is read"""
    with california.peer() as peer:
        peer.begin().params(fcgi.parameters_of("POST", "/predict", len(BODY), "application/json"))
        peer.send(b"".join(fcgi.record(fcgi.STDIN, bytes([byte]), padding=index % 8) for index, byte in enumerate(BODY.encode())))
        assert peer.end_stdin().reply().status == 200


# The request's target

@pytest.mark.parametrize("path", ["/nothing", "/predict/", "/predictXYZ", "/predict.json", "/models/", "/models//predict", "/modelsX", "/v1/predict",
                                  f"/models/{models.CALIFORNIA}/", f"/models/{models.CALIFORNIA}/predict/", f"/models/{models.CALIFORNIA}/versions",
                                  f"/models/{models.CALIFORNIA}/versions/1/", "/Predict", "/..%2fpredict", "/predict%2f", "/healthz/x"])
def test_unknown_path(site, path):
    """An unknown path gives 404"""
    for method in ("GET", "POST"):
        reply = site.request(method, path, json.dumps(EXAMPLE_BODY) if method == "POST" else None)
        assert (reply.status, reply.json()["code"]) in ((404, "not_found"), (404, "unknown_model")), f"{method}: {reply}"


@pytest.mark.parametrize("name", ["nobody", "..", "%2e%2e", "california-housing%00", "california_housing", ".hidden", "-x", "a" * 64, "a" * 65, "a" * 4000, "%ff", "a%20b", "train.json"])
def test_unknown_model(site, name):
    """An unknown model gives 404"""
    reply = site.post(f"/models/{name}/predict", EXAMPLE_BODY)
    assert reply.status in (400, 404), reply
    assert reply.json()["code"] in ("unknown_model", "not_found", "bad_request"), reply


@pytest.mark.parametrize("version", ["2", "0", "-1", "01", "1.0", "+1", "x", "champion", "99999999999999999999", "1%00", "%31x"])
def test_unknown_version(site, version):
    """An unknown version gives 404"""
    reply = site.post(f"/models/{models.CALIFORNIA}/versions/{version}/predict", EXAMPLE_BODY)
    assert reply.status in (400, 404), reply
    assert reply.json()["code"] in ("unknown_version", "not_found", "bad_request"), reply


METHODS = {"/predict": "POST", f"/models/{models.CALIFORNIA}/predict": "POST", f"/models/{models.CALIFORNIA}/versions/1/predict": "POST",
           "/models": "GET", f"/models/{models.CALIFORNIA}": "GET", "/healthz": "GET", "/readyz": "GET", "/version": "GET", "/metrics": "GET"}


@pytest.mark.parametrize("path", METHODS)
def test_wrong_method(site, path):
    """A wrong method gives 405 with Allow"""
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {METHODS[path]}:
        reply = site.request(method, path, "{}" if method != "GET" else None)
        refused(reply, 405, "method_not_allowed")
        allowed = {word.strip() for word in reply.headers["allow"].split(",")}
        assert METHODS[path] in allowed and method not in allowed, f"{method} {path}: Allow: {reply.headers['allow']}"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "FOO", "get", "PROPFIND"])
def test_odd_method(site, method):
    """An odd method gives 4xx or 501, never an echo"""
    answer = http.exchange(site.http_port, http.head(method, "/predict", X_Secret="echo", Connection="close"))[0]
    assert 400 <= answer.status < 500 or answer.status == 501, answer
    assert b"X-Secret" not in answer.body, answer


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
                                          "application/jsonx", "application", "text/csvx", ";", "application/json/x"])
def test_wrong_media_type(site, content_type):
    """A wrong media type gives 415 that names the right ones"""
    sentence = refused(site.post("/predict", json.dumps(EXAMPLE_BODY), content_type), 415, "unsupported_media_type")
    assert "application/json" in sentence and "text/csv" in sentence, sentence


def test_csv_sent_as_json(site):
    """A CSV sent as JSON gives 400"""
    refuse_json(site, CSV, "bad_json")


def test_json_sent_as_csv(site):
    """JSON sent as CSV gives 400"""
    assert site.post("/predict", BODY, "text/csv").status == 400


# Noise

def test_random_changes(site):
    """A thousand random changes to a valid body give an answer each, none of them 5xx"""
    chance = random.Random(20)
    for _ in range(1000):
        body = bytearray(BODY.encode())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            change = chance.random()
            body[at:at + (change < 0.6)] = bytes([chance.randrange(256)]) if change < 0.8 else b""
        reply = site.post("/predict", bytes(body))
        assert reply.status in (200, 400), f"{bytes(body)!r} gave {reply}"
        assert reply.status == 200 or reply.json()["code"], reply
