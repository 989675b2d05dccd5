"""A local page to look at a case and to review its outline."""
