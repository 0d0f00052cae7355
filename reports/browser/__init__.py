"""Tests of the report's page in a browser: headless Chromium, driven by Playwright, without any network."""
