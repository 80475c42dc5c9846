"""Sources to arrays: schemas, tables, images, quality, and open data to begin with."""
