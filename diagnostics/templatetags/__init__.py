"""What the templates of several apps may show of cases and microscopes."""
