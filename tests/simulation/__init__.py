"""What the policies do to fleets of a size that no test machine has: 10,000 endpoints, 1,000 clients, in a minute.

The pickers, the retry policy, the budgets and the outlier detector are the product's own; time, chance and the servers
are simulated. Endpoints are shared by all clients, what a client knows of them (turns, active requests, ejections) is
its own, as in as many processes.

    fleet      endpoints, and clients with real pickers over them
    clockwork  events in the order of their times
    spread     how evenly the policies load the endpoints
    zone       a zone whose endpoints go one after the other: where its requests go
    storm      a dip in capacity, with and without retries, thresholds and budgets
    ejection   how long bad endpoints go on to be asked, by the size of the fleet
    report     tables and plots: `make simulation` writes them into docs/
"""
