"""ABNT NBR 14522 from the reader's side: frames, layouts, session, driver (dossier abnt-nbr-14522)."""
