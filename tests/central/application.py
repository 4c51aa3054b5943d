"""One application for all tests of a process: making it takes longer than most of them. The state is each test's."""

from litestar import Litestar

from central.app import create_app, fresh_state
from central.settings import Settings

_made: list[Litestar] = []


def application(settings: Settings) -> Litestar:
    """The application as ``create_app`` makes it, without live progress, over the database of ``settings``."""
    if not _made:
        _made.append(create_app(settings, follow=False))
    else:
        _made[0].state.update(fresh_state(settings))
    return _made[0]
