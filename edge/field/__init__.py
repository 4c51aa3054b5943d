"""The field tool: a person with a laptop beside the meter or the gateway (``metergate field``).

``place`` says where, ``bench`` opens it with the guardian listening, ``identify``, ``reading``, ``check`` and ``audit``
do one thing there, ``folder`` keeps everything, ``sync`` and ``bundle`` hand it on. ``cli`` and ``screens`` show it.
"""
