"""predict_pandas.py - what futaie predict is compared with: the same in Python, as its users write it

    python3 predict_pandas.py MODEL_FILE ROWS.csv >PREDICTIONS
"""
import sys

import pandas
import xgboost

booster = xgboost.Booster(model_file=sys.argv[1])
rows = pandas.read_csv(sys.argv[2])
values = booster.predict(xgboost.DMatrix(rows))
# Of the ways that were measured (also Series.to_csv, numpy.savetxt and print) the fastest.
sys.stdout.write("\n".join(map(str, values.tolist())) + "\n")
