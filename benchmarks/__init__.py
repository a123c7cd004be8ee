"""Speed, memory and quality, this project and its peers measured in the same run; one module a subject."""
