"""mixed.py - clients that do everything at once: good requests, bad ones, several models, batches, versions by number, aborts

They talk FastCGI straight to the process, from several threads. Each request knows what it may be answered; whatever else comes is
kept in `wrong`. A good request of a model whose champion stays is answered with the same bytes every time.
"""
import collections
import functools
import json
import random
import threading

from lib import fcgi, models

EXAMPLE = json.dumps(models.EXAMPLE_BODY)
CELLS = json.dumps(models.EXAMPLE)
HEADER = ",".join(models.FEATURES)
LINE = ",".join(map(str, models.EXAMPLE))
CALIFORNIA = f"/models/{models.CALIFORNIA}"
NUMBERED = "binary-logistic-dart"       # the model asked for by version number
SWAPPED = "reg-squarederror"    # the model whose champion changes all the time
VERSIONS = 12           # of the numbered one: more than the server keeps loaded
FLEETING = "12"         # a version that comes and goes
BATCH_ROWS = 5000       # more than one call of XGBoost's takes
CSV, JSON = "text/csv", "application/json"
TIMEOUT_S = 30

LOADED_OR_BUSY = (200, 503)     # versions by number wait for each other, and for a reload, two seconds at most

# method, path, body, type, statuses
BAD = [
    ("POST", "/predict", "", JSON, 400),
    ("POST", "/predict", EXAMPLE[:-1], JSON, 400),
    ("POST", "/predict", "[" * 100_000, JSON, 400),
    ("POST", "/predict", "{\"a\":" * 50_000, JSON, 400),
    ("POST", "/predict", b"\xef\xbb\xbf" + EXAMPLE.encode(), JSON, 400),
    ("POST", "/predict", b'{"features": [["\xff\xfe"]]}', JSON, 400),
    ("POST", "/predict", EXAMPLE.replace("8.3252", "1e999"), JSON, 400),
    ("POST", "/predict", EXAMPLE.replace("8.3252", "Infinity"), JSON, 400),
    ("POST", "/predict", EXAMPLE.replace("8.3252", "08"), JSON, 400),
    ("POST", "/predict", EXAMPLE.replace("8.3252", '"8"'), JSON, 400),
    ("POST", "/predict", EXAMPLE.replace("8.3252", "8" * 70_000), JSON, 400),
    ("POST", "/predict", EXAMPLE.replace("8.3252", "1." + "3" * 70_000), JSON, 200),
    ("POST", "/predict", '{"features": []}', JSON, 400),
    ("POST", "/predict", '{"features": [[]]}', JSON, 400),
    ("POST", "/predict", '{"features": [[1, 2]]}', JSON, 400),
    ("POST", "/predict", f'{{"features": [{CELLS}, [1]]}}', JSON, 400),
    ("POST", "/predict", '{"features": [{"MedInc": 1, "MedInc": 2}]}', JSON, 400),
    ("POST", "/predict", '{"features": [{"\\u0000": 1}]}', JSON, 400),
    ("POST", "/predict", '{"features": [{"' + "x" * 10_000 + '": 1}]}', JSON, 400),
    ("POST", "/predict", EXAMPLE[:-1] + ', "features": []}', JSON, 400),
    ("POST", "/predict", EXAMPLE, "application/xml", 415),
    ("POST", "/predict", EXAMPLE, "text/plain; charset=" + "y" * 3000, 415),
    ("POST", "/predict?output=probability", EXAMPLE, JSON, 400),
    ("POST", "/predict", f"{HEADER}\n{LINE.replace('41,', 'old,')}\n", CSV, 400),
    ("POST", "/predict", f"{HEADER}\n{LINE},1\n", CSV, 400),
    ("POST", "/predict", f'{HEADER}\n"8.3252{LINE}\n', CSV, 400),
    ("POST", "/predict", f"{HEADER},{HEADER}\n{LINE},{LINE}\n", CSV, 400),
    ("POST", "/predict", HEADER, CSV, 400),
    ("POST", "/models/none/predict", EXAMPLE, JSON, 404),
    ("POST", f"/models/{NUMBERED}/versions/999/predict", EXAMPLE, JSON, 404),
    ("POST", f"/models/{NUMBERED}/versions/-1/predict", EXAMPLE, JSON, 404),
    ("GET", "/predict", "", None, 405),
    ("DELETE", "/models", "", None, 405),
    ("GET", "/" + "a" * 5000, "", None, 404),
    ("GET", "/%2e%2e/%00%zz%", "", None, 404),
]

QUIET = [("GET", path, "", None, 200) for path in ("/healthz", "/readyz", "/version", "/models", CALIFORNIA, "/metrics", "/models?a=%")]


@functools.lru_cache
def rows_of(name):
    """The rows of a fixture, as a body."""
    return json.dumps({"features": json.loads(models.expected(name))["rows"]})


def fixture_requests(names):
    for name in names:
        yield ("POST", f"/models/{name}/predict", rows_of(name), JSON, 200)
        yield ("POST", f"/models/{name}/predict?output=margin", rows_of(name), JSON, 200)


def good_requests(fixture_names):
    example = models.EXAMPLE_OBJECT
    return [
        ("POST", "/predict", EXAMPLE, JSON, 200),
        ("POST", "/predict", EXAMPLE, None, 200),
        ("POST", "/predict?output=margin", json.dumps({"features": [example] * 3}), JSON, 200),
        ("POST", "/predict", EXAMPLE.replace("8.3252", "null").replace(" 41,", " NaN,"), JSON, 200),
        ("POST", "/predict", f"{HEADER}\r\n{LINE}\r\n{',' * 7}\r\n", CSV, 200),
        *fixture_requests(fixture_names),
    ]


def batches():
    return [
        ("POST", "/predict", json.dumps({"features": [models.EXAMPLE] * BATCH_ROWS}), JSON, 200),
        ("POST", "/predict", HEADER + f"\n{LINE}" * BATCH_ROWS, CSV, 200),
        ("POST", "/predict", json.dumps({"features": [[0] * 8] * 100_001}), JSON, 413),
    ]


def leave_early(peer, way):
    """Goes away at one of six points of a request."""
    way %= 6
    if way == 0:
        return
    peer.begin()
    if way == 1:
        return
    peer.params(fcgi.parameters_of("POST", "/predict", len(EXAMPLE), JSON), end=way != 2)
    if way == 2:
        return
    peer.stdin(EXAMPLE[:30].encode())
    if way == 4:
        peer.abort()
    elif way == 5:
        peer.stdin(EXAMPLE[30:].encode()).end_stdin()


class Clients:
    """`threads` threads that send until `stop()`; `with Clients(…)` starts and stops them."""

    def __init__(self, app, fixture_names, threads, batch_share=0.01):
        self.app, self.batch_share = app, batch_share
        self.good, self.batches = good_requests(fixture_names), batches()
        self.expected = {}              # request → body, of good requests and batches
        self.moving = {}                # model → predictions, of those whose version changes
        self.counts = collections.Counter()
        self.wrong = []
        self.lock = threading.Lock()
        self.stopping, self.ending = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(threads)]

    def learn(self):
        """The answers before anything happens at once."""
        for request in [*self.good, *self.batches]:
            reply = self.ask(request)
            assert reply.status == request[4], f"{request[:2]} {reply}"
            self.expected[request] = reply.body
        for name in (NUMBERED, SWAPPED):
            self.moving[name] = self.ask(("POST", f"/models/{name}/predict", rows_of(name), JSON, 200)).json()["predictions"]

    def __enter__(self):
        self.learn()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(TIMEOUT_S)

    def application_ends(self):
        """From here on it may be gone when a client connects; who is connected is still answered."""
        self.ending.set()

    def ask(self, request):
        method, path, body, kind, _ = request
        return fcgi.request(self.app.connect_to(), method, path, body, kind, timeout_s=TIMEOUT_S)

    def run(self, number):
        chance = random.Random(number)
        kinds = [self.a_good_one] * 12 + [self.a_bad_one] * 6 + [self.a_quiet_one] * 2 + [self.by_number] * 4 + [self.swapping] * 2 + \
            [self.an_abort] * 3 + [self.a_liar] * 2
        while not self.stopping.is_set():
            kind = self.a_batch if chance.random() < self.batch_share else chance.choice(kinds)
            try:
                kind(chance)
            except (FileNotFoundError, ConnectionRefusedError):
                if self.ending.is_set():
                    return
                self.note(kind.__name__, "the application has gone")
            except OSError as error:
                self.note(kind.__name__, repr(error))
            with self.lock:
                self.counts[kind.__name__] += 1

    def note(self, what, why):
        with self.lock:
            self.wrong.append(f"{what}: {why}"[:400])

    def check(self, request, statuses):
        reply = self.ask(request)
        if reply.status not in statuses:
            self.note(f"{request[:2]} expected {statuses}", repr(reply))
        elif request in self.expected and reply.body != self.expected[request]:
            self.note(f"{request[:2]} was {self.expected[request][:150]!r}", f"is {reply.body[:150]!r}")
        return reply

    # One of each kind

    def a_good_one(self, chance):
        request = chance.choice(self.good)
        self.check(request, (200,))

    def a_batch(self, chance):
        request = chance.choice(self.batches)
        self.check(request, (request[4],))

    def a_bad_one(self, chance):
        request = chance.choice(BAD)
        self.check(request, (request[4],))

    def a_quiet_one(self, chance):
        request = chance.choice(QUIET)
        self.check(request, (200,))

    def by_number(self, chance):
        version = str(chance.randint(1, VERSIONS))
        statuses = (*LOADED_OR_BUSY, 404) if version == FLEETING else LOADED_OR_BUSY
        self.check_predictions(NUMBERED, f"/models/{NUMBERED}/versions/{version}/predict", statuses)

    def swapping(self, chance):
        self.check_predictions(SWAPPED, f"/models/{SWAPPED}/predict", (200,))

    def check_predictions(self, name, path, statuses):
        """All versions of a model are copies, so that they predict the same."""
        reply = self.check(("POST", path, rows_of(name), JSON, None), statuses)
        if reply.status == 200 and reply.json()["predictions"] != self.moving[name]:
            self.note(f"{path} predicted {self.moving[name]}", repr(reply))

    def an_abort(self, chance):
        with fcgi.Peer(self.app.connect_to(), timeout_s=TIMEOUT_S) as peer:
            leave_early(peer, chance.randrange(6))

    def a_liar(self, chance):
        """Another length than was promised."""
        with fcgi.Peer(self.app.connect_to(), timeout_s=TIMEOUT_S) as peer:
            promised = chance.choice([0, 10, len(EXAMPLE) + 1, 10_000_000, "-1", "99999999999999999999", "ten"])
            peer.begin().params(fcgi.parameters_of("POST", "/predict", promised, JSON))
            reply = peer.stdin(EXAMPLE.encode()).end_stdin().reply()
        if reply.status != 400:
            self.note(f"Content-Length {promised}", repr(reply))
