"""Sources to tables: schemas, intake, quality, and open data to begin with."""
