"""The protocol on the wire: messages, tokens, transports and the client."""
