"""Text as the catalogue meant it: the rules, one a defect, and the rows that are left out."""
