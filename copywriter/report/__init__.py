"""The report: results of all stages, charts, templates, and the model card."""
