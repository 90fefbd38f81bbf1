"""fixtures.py - pytest fixtures: the sites that many tests share, and processes of a test's own"""
import pytest

from lib import models, stack


@pytest.fixture(scope="session")
def shipped_models():
    return models.SHIPPED


@pytest.fixture(scope="session")
def site(shipped_models):
    """futaie behind lighttpd with the shipped model; ends with the session, and must end cleanly."""
    with stack.Site(shipped_models) as started:
        yield started


@pytest.fixture(scope="session")
def california(site):
    """The application of `site`, to be talked to without a web server."""
    return site.app


@pytest.fixture(scope="session")
def fixture_store():
    """futaie behind lighttpd with a small model of every objective, none of them the default."""
    with stack.Site(models.FIXTURES) as started:
        yield started


@pytest.fixture
def fresh():
    """Starts futaie for one test: fresh(models, args=…). Each must end cleanly when the test is over, unless it has ended already."""
    started = []

    def start(*arguments, **options):
        started.append(stack.Futaie(*arguments, **options))
        return started[-1]

    yield start
    for part in started:
        if part.running():
            part.stop()
