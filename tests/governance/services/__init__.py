"""Services that filters ask."""
