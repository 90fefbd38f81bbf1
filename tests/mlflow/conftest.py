"""conftest.py - as for tests/integration, and a server of MLflow 3 and of MLflow 2 for the whole group"""
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from lib import fixtures, tap        # noqa: E402

import server                        # noqa: E402


@pytest.hookimpl(trylast=True)         # once pytest's own report is there to be replaced
def pytest_configure(config):
    tap.install(config)
    config.pluginmanager.register(fixtures)


@pytest.fixture(scope="session", params=["3", "2"], ids=["MLflow 3", "MLflow 2"])
def mlflow(request):
    """A server with its own store, and its Python client."""
    started = server.Mlflow(request.param)
    yield started
    started.end()


@pytest.fixture
def gate(mlflow):
    """A way to that server that can be closed, held up or spoilt."""
    with server.Gate(mlflow.port) as opened:
        yield opened
