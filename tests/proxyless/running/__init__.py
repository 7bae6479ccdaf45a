"""`proxyless run`: the interpreters below it, and real programs."""
