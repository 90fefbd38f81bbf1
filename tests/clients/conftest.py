"""conftest.py - every test here prints TAP, has a time limit, and shows the logs of the parts it started when it fails"""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib import fixtures, tap        # noqa: E402


@pytest.hookimpl(trylast=True)         # once pytest's own report is there to be replaced
def pytest_configure(config):
    tap.install(config)
    config.pluginmanager.register(fixtures)
