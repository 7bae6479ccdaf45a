"""Every figure of the README, from one run: `make bench`.

Variants that are compared run interleaved, in rounds, against the same backend with the same number of connections; the
plain variant runs twice (A and A/A), so that the difference between two equal things shows the noise. Ratios are taken
round by round and their median is quoted. Each part is a module of its own; `python -m bench PART...` runs some.
"""
