"""What futaie replaces: the same model behind Flask, as its users write it. The baseline of `make bench`.

    python3 flask_app.py MODEL_FILE PORT
    MODEL=MODEL_FILE gunicorn flask_app:app
"""
import logging
import os
import sys

import numpy as np
import xgboost
from flask import Flask, jsonify, request

app = Flask(__name__)
model_file = sys.argv[1] if __name__ == "__main__" else os.environ["MODEL"]
# One thread and inplace_predict were both measured to be the faster choice for a row or a few.
booster = xgboost.Booster({"nthread": 1}, model_file=model_file)


@app.post("/predict")
def predict():
    rows = np.array(request.get_json()["features"], dtype=np.float32)
    return jsonify(predictions=booster.inplace_predict(rows).tolist())


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a log line per request would slow it down unfairly
    app.run(port=int(sys.argv[2]), threaded=True)
