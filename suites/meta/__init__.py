"""The suites under test: planted defects that must turn each of them red."""
