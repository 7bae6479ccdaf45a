"""Tests of governance.authorization."""
