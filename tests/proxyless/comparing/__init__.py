"""Tests of proxyless.comparing."""
