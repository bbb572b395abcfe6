"""A run that was traced, as it was at a step: lines of travel, the classical net, the update."""
