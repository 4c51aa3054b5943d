"""From MQTT to committed rows and a cursor."""
