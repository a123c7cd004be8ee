"""Speed on stated work, beside what people use now; each prints a table for docs/."""
