"""One script a step; the chain is in each script's `down_revision`."""
