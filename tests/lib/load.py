"""load.py - wrk runs while a test does something else; afterwards it says what was lost"""
import json
import signal
import subprocess

from lib import need, stack

MOST_S = 60             # a test that takes longer than this is told that its load ended too early
SCRIPT = stack.ROOT / "tests" / "lib" / "predict.lua"


class Load:
    """`with Load(port) as load: …` and then `load.lost()`: the load lasts as long as the block. `expected` is the text that every answer must
    be, or a list of such texts; `headers` come with each request."""

    def __init__(self, port, connections=16, expected=None, headers=None):
        words = [need.program("wrk", "wrk"), "--threads", "1", "--connections", str(connections), "--duration", f"{MOST_S}s",
                 "--timeout", "10s", "--script", str(SCRIPT), f"http://127.0.0.1:{port}"]
        words[1:1] = [word for name, value in (headers or {}).items() for word in ("--header", f"{name}: {value}")]
        texts = [expected] if isinstance(expected, str) else expected or []
        self.words = words + (["--", *texts] if texts else [])
        self.result = None

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        preexec_fn=stack.die_with_parent)
        return self

    def __exit__(self, kind, *_):
        too_short = self.process.poll() is not None
        self.process.send_signal(signal.SIGINT if kind is None else signal.SIGKILL)
        output, _ = self.process.communicate(timeout=30)
        if kind is None:
            assert self.process.returncode == 0 and not too_short, f"the load ended by itself:\n{output}"
            self.result = json.loads(output.splitlines()[-1])

    def lost(self):
        """Requests that got no answer, an answer that is no 2xx, or one that is not the expected one."""
        return {name: self.result[name] for name in ("wrong", "status", "connect", "read", "write", "timeout") if self.result[name]}

    def seen(self):
        """How often each of the expected answers came."""
        return self.result["seen"]

    def requests(self):
        return self.result["requests"]
