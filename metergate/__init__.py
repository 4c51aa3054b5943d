"""The command: a lazy table of subcommands, and the demonstration that starts both sides.

The only folder that may know both ``edge`` and ``central``, and it loads neither before it is asked to: a gateway
without the aggregator's libraries runs ``metergate edge`` as if the rest did not exist.
"""

__version__ = "0.1.0"
