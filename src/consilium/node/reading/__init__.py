"""What screens read of a node, and what the way without code needs: one file for each part."""
