"""Rules of trials and guidelines as data, and their evaluation on one case: facts about rules, no recommendation."""
