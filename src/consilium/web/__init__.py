"""What a browser meets, whoever serves it: doors and guards, pages, streams, the bundle."""
