"""Libraries of the web pages: fetched by npm from the lock file, the files needed copied into ``static/vendor``.

Run as ``python -m central.web.assets``; nothing is done when the result already fits the lock file. Only the standard
library is imported, so that a build can call :func:`build` before anything is installed.
"""

from central.web.assets.vendor import AssetsError, build, is_current

__all__ = ["AssetsError", "build", "is_current"]
