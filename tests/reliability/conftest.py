"""conftest.py - as for tests/integration: every test prints TAP, has a time limit, and shows logs when it fails"""
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from lib import fixtures, tap        # noqa: E402


@pytest.hookimpl(trylast=True)         # once pytest's own report is there to be replaced
def pytest_configure(config):
    tap.install(config)
    config.pluginmanager.register(fixtures)
