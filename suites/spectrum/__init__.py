"""The invariance spectrum: which approximation keeps its step under which changes of coordinates, predicted and measured."""
