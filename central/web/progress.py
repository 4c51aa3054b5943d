"""Live progress in the web process, as far as the application keeps a board."""

from central.accounts.principal import Principal
from central.fleet.progress import ProgressBoard
from central.web.forms import Web
from shared.wire import Progress


def board(request: Web) -> ProgressBoard | None:
    """The application's board; None when it follows no broker."""
    found = request.app.state.get("progress")
    return found if isinstance(found, ProgressBoard) else None


def command_progress(request: Web, principal: Principal) -> dict[str, Progress]:
    """Progress of running commands by id."""
    found = board(request)
    return found.of_commands(principal.tenant_key) if found else {}
