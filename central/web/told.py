"""What gateways and services say in English, in the reader's language; what is not known here stays as it was said."""

import re
from typing import Final

from central.web.i18n import N_, gettext

#: Whole sentence -> words with the same names. ``_why`` is a sentence again.
_SENTENCES: Final = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"in force; the broker was reached with it", N_("In force; the broker was reached with it.")),
        (r"this configuration is in force already", N_("This configuration is in force already.")),
        (r"permissions\.(?P<key>\w+) is off in the gateway's configuration",
         N_("permissions.%(key)s is off in the gateway's configuration.")),
        (r"it came (?P<seconds>\d+) s after its time and was not carried out",
         N_("It came %(seconds)s s after its time and was not carried out.")),
        (r"no meter (?P<meter>.+) here; there are: (?P<known>.+)",
         N_("This gateway has no meter %(meter)s; it has: %(known)s")),
        (r"the gateway's own clock is not set: no meter is set by it",
         N_("The gateway's own clock is not set: no meter is set by it.")),
        (r".+ was typed to confirm, which is not the serial of .+",
         N_("The serial typed to confirm is not the meter's.")),
        (r"it was made from configuration (?P<base>\w+), in force is (?P<hash>\w+): make it from that one",
         N_("It was made from configuration %(base)s, but %(hash)s is in force: make the change again from that one.")),
        (r"another configuration is being tried: wait for its result",
         N_("Another configuration is being tried: wait for its result.")),
        (r"the previous configuration is back: (?P<_why>.+)",
         N_("The previous configuration is back in force. %(_why)s")),
        (r"the broker was not reached within (?P<seconds>\d+) s: (?P<_why>.+)",
         N_("The broker was not reached within %(seconds)s s: %(_why)s")),
        (r"connection refused, nothing listens there: check uplink\.host and port, and that the broker runs",
         N_("connection refused, nothing listens there: check uplink.host and port, and that the broker runs")),
        (r"its name cannot be resolved: check uplink\.host and this machine's name server",
         N_("its name cannot be resolved: check uplink.host and the name server of the gateway")),
        (r"no answer within (?P<seconds>[\d.]+) s: check uplink\.host and port, the network, and firewalls between",
         N_("no answer within %(seconds)s s: check uplink.host and port, the network, and firewalls between")),
        (r".+: check uplink\.username and its password, and the broker's access rules for this gateway's id",
         N_("the broker refuses it: check uplink.username, its password and the broker's access rules")),
        (r"its certificate comes from an authority unknown here \((?P<error>.+)\): check uplink\.ca_file",
         N_("its certificate comes from an authority unknown there (%(error)s): check uplink.ca_file")),
        (r"the gateway stopped while this was carried out; what was read until then is kept",
         N_("The gateway stopped while this was carried out; what was read until then is kept.")),
        (r"the gateway stopped before the new configuration was in place",
         N_("The gateway stopped before the new configuration was in place.")),
        (r"the gateway was started (?P<number>\d+) times with it and never reached the broker",
         N_("The gateway was started %(number)s times with it and never reached the broker.")),
        (r"(?P<name>[\w.]+) is (?P<old>.+) and can only be changed on the gateway itself, not to (?P<new>.+)",
         N_("%(name)s is %(old)s and can only be changed on the gateway itself, not to %(new)s.")),
        (r"(?P<name>[\w.]+) is masked, but this gateway has no such secret: write it out",
         N_("%(name)s is masked, but this gateway has no such secret: write it out.")),
        (r"no answer came in time", N_("No answer came in time.")),
        (r"cancelled by (?P<name>.+)", N_("Cancelled by %(name)s.")),
        (r"nothing was read", N_("Nothing was read.")),
        (r"unknown key (?P<key>'.*'); did you mean (?P<near>'.*')\?",
         N_("unknown key %(key)s; did you mean %(near)s?")),
        (r"unknown key (?P<key>'.*'); known here: (?P<known>.+)", N_("unknown key %(key)s; known here: %(known)s")),
        (r"no line is called (?P<name>'.*'); did you mean (?P<near>'.*')\?",
         N_("no line is called %(name)s; did you mean %(near)s?")),
        (r"no line is called (?P<name>'.*'); there are: (?P<known>.+)",
         N_("no line is called %(name)s; there are: %(known)s")),
        (r"no module is called (?P<name>'.*'); did you mean (?P<near>'.*')\?",
         N_("no module is called %(name)s; did you mean %(near)s?")),
        (r"no module is called (?P<name>'.*'); there are: (?P<known>.+)",
         N_("no module is called %(name)s; there are: %(known)s")),
        (r"(?P<what>[\w ]+) (?P<value>'.*') is taken already by (?P<place>[\w\[\]]+)",
         N_("%(value)s is taken already by %(place)s")),
        (r"(?P<zone>'.*') is not a time zone; one is 'America/Sao_Paulo'",
         N_("%(zone)s is not a time zone; one is 'America/Sao_Paulo'")),
        (r"not TOML: (?P<error>.+)", N_("this is not TOML: %(error)s")),
        (r"object missing required field `(?P<key>\w+)`", N_("the key '%(key)s' is missing")),
        (r"expected `(?P<kind>\w+)`, got `(?P<given>\w+)`", N_("has to be of type %(kind)s, is %(given)s")),
        (r"expected `\w+` (?P<bound>[<>]=? \S+)", N_("has to be %(bound)s")),
        (r"the registers do not tell one nibble order from the other|no register readings around enough intervals",
         N_("not enough readings yet to compare")),
        (r"profile sums differ from registers", N_("the sums of the load profile differ from the registers")),
    )
)  # fmt: skip


def told(text: str) -> str:
    """Translate one sentence; a part of it that is a sentence again as well."""
    for pattern, words in _SENTENCES:
        found = pattern.fullmatch(text)
        if found:
            values = {name: told(value) if name == "_why" else value for name, value in found.groupdict().items()}
            return gettext(words) % values if values else gettext(words)
    return text
