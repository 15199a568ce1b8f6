"""The model and its rivals, judged on the same pictures.

`folds` judges the recipe that ships; `paper_tables` runs the paper's own recipe, row by row,
beside its figures; `leaderboard` lets the classifier families of its Table 6 read the same
features. Nothing here is needed to serve a model.
"""
