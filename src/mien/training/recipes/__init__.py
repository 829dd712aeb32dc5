"""One recipe per file: a preset table and one visible loop."""
