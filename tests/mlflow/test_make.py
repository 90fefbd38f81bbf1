"""test_make.py - make mlflow: it starts, says where it is, make train's address file is there, and Ctrl-C leaves nothing behind"""
import os
import signal
import subprocess
import urllib.request

import pytest

import server
from lib import stack


@pytest.mark.limit(120)
def test_make_mlflow():
    """make mlflow answers on its port, writes its address down, and ends on Ctrl-C with all that it started"""
    build = stack.scratch("mlflow").resolve()
    os.symlink(os.path.realpath(server.environment("3")), build / "venv-mlflow3")
    (port,) = stack.free_ports(1)
    process = subprocess.Popen(["models/mlflow.sh"], env={**os.environ, "BUILD": str(build), "MLFLOW_PORT": str(port)}, text=True, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said += line
        url = f"http://127.0.0.1:{port}"
        assert f"MLflow is ready: {url}/" in said and (build / "mlflow" / "url").read_text().strip() == url
        with urllib.request.urlopen(url + "/version", timeout=20) as answer:
            assert answer.read().startswith(b"3.")
        second = subprocess.run(["models/mlflow.sh"], env={**os.environ, "BUILD": str(build), "MLFLOW_PORT": str(port)}, capture_output=True, text=True,
                                timeout=30, check=False)
        assert second.returncode == 1 and f"port {port} is taken" in second.stderr, second
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert not (build / "mlflow" / "url").exists()
    assert subprocess.run(["pgrep", "-f", str(build)], capture_output=True, text=True, check=False).stdout == ""
