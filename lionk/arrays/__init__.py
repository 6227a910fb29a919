"""Arrays of any library, and values made of them: the Array API, containers, matrix factors, tables for notebooks."""
