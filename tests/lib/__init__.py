"""What the tests share: the TAP plugin, the parts that they start, and the clients that they talk with."""
