"""What the market operator (CCEE) did at each meter: connections, verdicts, days, alarms (dossier ccee-ons §13)."""
