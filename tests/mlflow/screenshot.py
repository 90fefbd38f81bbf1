"""screenshot.py - draws docs/mlflow.png: a run of futaie train on MLflow's pages, in Chromium

    FUTAIE_DATA_DIR=DIR python3 tests/mlflow/screenshot.py
"""
import os
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from lib import models, stack           # noqa: E402

import rows                             # noqa: E402
import server                           # noqa: E402

SIZE = "1500,980"
DRAWN_WITHIN_MS = 30000


def main():
    data = stack.scratch("california") / "california.csv"
    subprocess.run(["models/california.sh", data], check=True)
    mlflow = server.Mlflow("3")
    try:
        run = rows.train(models.Store(), data, mlflow.url, "--params", "models/train.json", "--period", "0", "--mlflow-alias", "champion",
                         name=models.CALIFORNIA, target="MedHouseVal")
        assert run.returncode == 0, run
        subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SIZE}",
                        f"--user-data-dir={stack.scratch('chromium').resolve()}", f"--virtual-time-budget={DRAWN_WITHIN_MS}",
                        f"--screenshot={stack.ROOT / 'docs' / 'mlflow.png'}",
                        f"{mlflow.url}/#/experiments/1/runs/{rows.run_id(run.stderr)}/artifacts/predicted_against_actual.svg"],
                       check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(stack.scratch("home"))})
    finally:
        mlflow.end()


if __name__ == "__main__":
    main()
