"""The node's listener for browsers: its application, the table of routes, what screens read."""
