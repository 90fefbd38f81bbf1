"""fixtures.py - pytest fixtures: the sites that many tests share, and processes of a test's own"""
import pytest

from lib import models, stack


@pytest.fixture(scope="session")
def shipped_models():
    return models.SHIPPED


# A sanitizer is in futaie alone: what the web server is does not matter to it.
@pytest.fixture(scope="session", params=[stack.Lighttpd.name] if stack.SANITIZED else list(stack.FRONTS))
def front(request):
    """The name of a web server: whatever takes it, or `site`, runs once with each of them."""
    return request.param


def front_of(request):
    """The web server for a fixture whose test may take `front` as well; lighttpd where it does not."""
    return request.getfixturevalue("front") if "front" in request.fixturenames else stack.Lighttpd.name


@pytest.fixture(scope="session")
def site(shipped_models, front):
    """futaie behind the web server with the shipped model; ends with the session, and must end cleanly."""
    with stack.Site(shipped_models, front=front) as started:
        yield started


@pytest.fixture(scope="session")
def california(shipped_models):
    """futaie with the shipped model, to be talked to without a web server."""
    with stack.Futaie(shipped_models) as started:
        yield started


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
