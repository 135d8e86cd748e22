"""The claims of the paper as experiments that one command runs: `python -m research.claims NAME`.

    corpus -> trainings (rows) -> measures -> OUT/NAME.json, NAME.md, plots, clips

Modules, in the order in which they build on one another:

    scales      how much is trained and measured: full, short, tiny
    rows        what is trained, on what, from which seed
    corpora     a corpus, smaller views of it, and a synthetic one
    training    one training that is not done twice
    store       trained rows, token shards and measures, each made once and kept in the runs folder
    results     the result files
    significance    differences with intervals, and what they say of a claim
    plots       curves and bars as SVG
    measures    reconstruction and prediction of one row, by clip and by window
    clips       what is put beside a result to listen to
    (one module for each group of experiments)
    catalogue   the experiments by name
    run         several experiments, one after another
"""
