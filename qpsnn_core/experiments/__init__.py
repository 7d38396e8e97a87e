"""Whole runs of many verbs: recipes in stages, studies, the paper's tables, the demo."""
