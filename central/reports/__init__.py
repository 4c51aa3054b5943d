"""Reports over many meters: what they show, how they leave the house, who gets them regularly."""
