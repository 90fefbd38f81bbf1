#!/usr/bin/python3
"""fuzz.py - builds the fuzzers with clang and runs them side by side for FUZZ_S seconds each (60), as TAP

What they learn stays in BUILD/fuzz and is where the next run goes on from; `make clean` forgets it. An input that fails is kept there, too:
give its path to the fuzzer as its only argument to see it fail again.
"""
import dataclasses
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "fuzz"
BUILD = Path(os.environ.get("BUILD", "build")) / "fuzz"
SECONDS = int(os.environ.get("FUZZ_S") or 60)
CLANG = "clang"
PACKAGES = "clang and libclang-rt-14-dev"

INPUT_S = 10            # most that one input may take
MEMORY_MB = 1024        # of the whole fuzzer; the address sanitizer's share is large
ALLOCATION_MB = 128     # at once; no input is as large as 1 MB
SHOWN_LINES = 60

LONG = "0." + 70 * "0" + "1e70"

BODIES = [
    f'{{"features":[[{LONG},-{LONG}]]}}', f'{{"x":{{"y":{LONG}}}}}',
    '{"features": [[1.5, null], [-2, NaN]]}', '{"features":[{"a":1e5,"b":0.25},{"b":null,"a":-0}]}', '{"features": [[1,2]], "features": []}',
    '{"\\u0066eatures":[{"\\u0061":1,"b":2}]}', '{"features":[[Infinity,-Infinity]]}', '{"x":["\\ud83d\\ude00",true,false,{"y":[]}]}',
    "a,b\n1.5,\n-2,nan\n", 'b,a\r\n"1","2"\r\n', '\ufeff"a", b\r1,+2\r\r.5,3.\r', 'a,b\n"1""2",x\n', "a,b\n01,NaN\n\n1e5 ,\t-0\n",
]
# Of the other protocols.
REQUESTS = [
    '{"id":"1","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}],"outputs":[{"name":"margin","parameters":{"binary_data":true}}]}',
    '{"inputs":[{"name":"b","shape":[1],"datatype":"INT64","data":[[1]]},{"data":[true],"datatype":"BOOL","shape":[1,1],"name":"a"}]}',
    '{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","parameters":{"binary_data_size":16}}],"parameters":{"binary_data_output":true}}',
    '{"inputs":[{"name":"x","shape":[4,2],"datatype":"FP32","parameters":{"binary_data_size":32}}]}0123456789abcdef0123456789abcdef',
    '{"b":[2,5],"a":[[1],[4]]}', '["b","a"] [[3,1],[NaN,4]]', '[[1,2],{"b":1,"a":2}]',
]

NUMBERS = [
    "0", "-0", "1", "-1.5", "1e5", "1E-5", "01", "1.", ".5", "+1", "1e", "NaN", "nan", "Infinity", "-inf", "null", "0x1p3", "8.3252",
    "0.1", "123456.789012345", "9007199254740993", "16777217", "1.00000017881393432617187500", "1.00000017881393432617187499",
    "3.4028235677973366e38", "3.4028235e38", "340282356779733661637539395458142568447.9", "1.4e-45", "7.0e-46", "7.1e-46", "1.1754944e-38",
    "1e-22", "1e23", LONG, "1e99999999999", "-1e-99999999999", "18446744073709551616",
    "99999999999999999999e-20", "0e999999", "4.35000000000000000000000000000000000000000000000000000000000000001",
]


@dataclasses.dataclass
class Fuzzer:
    name: str
    sentence: str       # what holds for every input
    longest: int        # bytes of an input
    process: object = None

    @property
    def program(self):
        return BUILD / f"fuzz_{self.name}"

    @property
    def log(self):
        return BUILD / f"{self.name}.log"

    def folder(self, kind):
        path = BUILD / f"{self.name}-{kind}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def start(self):
        words = [self.program, self.folder("corpus"), self.folder("seeds"), f"-max_total_time={SECONDS}", f"-max_len={self.longest}",
                 f"-timeout={INPUT_S}", f"-rss_limit_mb={MEMORY_MB}", f"-malloc_limit_mb={ALLOCATION_MB}", f"-dict={HERE}/{self.name}.dict",
                 f"-artifact_prefix={BUILD}/{self.name}-", "-print_final_stats=1", "-reload=0"]
        environment = dict(os.environ, ASAN_OPTIONS="strict_string_checks=1:detect_stack_use_after_return=1:quarantine_size_mb=32",
                           UBSAN_OPTIONS="print_stacktrace=1")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment)

    def finish(self, number):
        status = self.process.wait()
        text = self.log.read_text(errors="replace")
        print(f"{'ok' if status == 0 else 'not ok'} {number} - {self.sentence}")
        if status != 0:
            show(story(text))
        kept = re.search(r"Test unit written to (\S+)", text)
        if kept:
            print(f"# the input is kept: {self.program} {kept[1]}")
        print(f"# {self.name}: {figures(text)}", flush=True)
        return status == 0


VERSIONS = ("2.0.3", "3.3.0")       # of XGBoost, which write leaves of several values in two ways

FUZZERS = [
    Fuzzer("model", "any bytes as a model file are refused with a sentence, or make a forest whose ways of scoring agree", 16384),
    Fuzzer("numbers", "any text as a number or a body of rows is read as a second, slow reader and strtof read it", 1024),
]


def figures(text):
    """How much was tried, from libFuzzer's last lines."""
    stats = dict(re.findall(r"stat::(\w+): +(\d+)", text))
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", text) or [("0", "0")]
    edges, features = coverage[-1]
    return (f"{stats.get('number_of_executed_units', '?')} inputs, {stats.get('average_exec_per_sec', '?')} a second; "
            f"{edges} edges, {features} features; {stats.get('peak_rss_mb', '?')} MB")


def story(text):
    """From what was found on; libFuzzer's progress before it says nothing."""
    found = re.search(r"^(?:fuzz: |.*runtime error:|==\d+== ?ERROR)", text, re.MULTILINE)
    return text[found.start():] if found else "\n".join(text.splitlines()[-SHOWN_LINES:])


def show(text):
    for line in text.splitlines()[:SHOWN_LINES]:
        print(f"# {line}")


def write_seeds(model, numbers):
    for path in (ROOT / "tests" / "data" / "fixtures").glob("*/1/model.*"):
        shutil.copyfile(path, model.folder("seeds") / f"{path.parts[-3]}{path.suffix}")
    for version, name in itertools.product(VERSIONS, ("vectors*.ubj", "vectors-json.json")):      # leaves of several values, which no fixture has
        for path in (ROOT / "tests" / "data" / "versions" / version).glob(name):
            shutil.copyfile(path, model.folder("seeds") / f"{version}-{path.name}")
    for i, text in enumerate(BODIES + NUMBERS + REQUESTS):
        (numbers.folder("seeds") / str(i)).write_text(text, encoding="utf-8", newline="")


def cannot():
    """Why there can be no fuzzers here, or None: no clang, no runtime of libFuzzer's, or a kernel that its sanitizers do not run on."""
    if shutil.which(CLANG) is None:
        return "no clang here"
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / "try"
    source = "int LLVMFuzzerTestOneInput(const unsigned char *p, unsigned long n) { (void)p; (void)n; return 0; }"
    made = subprocess.run([CLANG, "-fsanitize=fuzzer,address,undefined", "-x", "c", "-", "-o", program], input=source, text=True,
                          capture_output=True, check=False)
    if made.returncode != 0:
        return "no runtime of libFuzzer here"
    tried = subprocess.run([program, "-runs=1"], capture_output=True, text=True, check=False)
    return "a program with sanitizers does not run on this kernel" if tried.returncode != 0 else None


def build():
    words = [os.environ.get("MAKE", "make"), "--no-print-directory", "-s", "-j2", f"BUILD={BUILD}", f"CC={CLANG}", "SAN=address",
             "CFLAGS=-O1 -g -fsanitize=fuzzer-no-link", "fuzzers"]
    return subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def main():
    os.chdir(ROOT)
    if (why := cannot()) and not os.environ.get("CI"):
        print(f"1..0 # SKIP {why}: install Debian's {PACKAGES}")
        return 0
    print(f"1..{len(FUZZERS)}", flush=True)
    made = None if why else build()
    if why or made.returncode != 0:
        for number, fuzzer in enumerate(FUZZERS, 1):
            print(f"not ok {number} - {fuzzer.sentence}")
        show(f"{why}, and CI must have it: install Debian's {PACKAGES}" if why else made.stdout)
        return 1
    write_seeds(*FUZZERS)
    for fuzzer in FUZZERS:
        fuzzer.start()
    fine = [fuzzer.finish(number) for number, fuzzer in enumerate(FUZZERS, 1)]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
