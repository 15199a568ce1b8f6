"""The fault drill: a whole hospital of processes, and a gremlin that breaks every one of them."""
