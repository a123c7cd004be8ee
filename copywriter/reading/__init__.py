"""Files of any catalogue as rows: CSV, JSON, Parquet, Excel-made; which columns hold title and description."""
