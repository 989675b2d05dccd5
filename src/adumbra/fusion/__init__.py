"""Where the first posterior's uncertainty decides how sequences are joined in the second pass."""
