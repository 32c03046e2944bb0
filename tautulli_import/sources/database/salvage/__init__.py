"""Find damage in a database, and save the rows that are left."""
