"""``metergate provision``: what the person at the controller needs beside Ansible."""
