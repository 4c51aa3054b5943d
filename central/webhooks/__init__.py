"""Programs that are told what happens: signed messages, sent again until they are taken."""
