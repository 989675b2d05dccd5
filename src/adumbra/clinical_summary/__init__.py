"""The clinical summary of a case: what the predictions of its targets mean, draw by draw, as plain values.

It is written as ``<case>_clinic.json``, and the report is drawn from it; ``report/assets/clinic.schema.json`` describes
it. Every number states a fact about the images or about a rule, and none recommends anything.
"""
