"""The scripts that bring a database from one release's schema to the next."""
