"""The people's door: pages, assets, languages."""
