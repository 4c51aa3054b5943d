"""What exists: gateways, modules, meters, points, customers, groups, lots."""
