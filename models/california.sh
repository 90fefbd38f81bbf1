#!/bin/sh
# california.sh - the California housing rows as CSV with the model's features: models/california.sh OUT.csv
#
# FUTAIE_DATA_DIR, where set, names the folder that holds cal_housing.data, and nothing is downloaded. Otherwise the published archive is fetched
# into the folder of OUT.csv, once, and its sha256 is checked. R. Kelley Pace and Ronald Barry, "Sparse Spatial Autoregressions",
# Statistics & Probability Letters 33 (1997).
set -eu

url=https://ndownloader.figshare.com/files/5976036
sha256=aaa5c9a6afe2225cc2aed2723682ae403280c4a3695a2ddda4ffb5d8215ea681
rows=20640

fail() { printf 'california.sh: %s\n' "$1" >&2; exit 1; }

[ $# = 1 ] || { echo "usage: models/california.sh OUT.csv" >&2; exit 2; }
out=$1
folder=$(dirname "$out")
mkdir -p "$folder"

if [ -n "${FUTAIE_DATA_DIR:-}" ]; then
    data=$FUTAIE_DATA_DIR/cal_housing.data
    [ -f "$data" ] || fail "$data is not there: FUTAIE_DATA_DIR names the folder that holds it; without the variable it is downloaded"
else
    data=$folder/CaliforniaHousing/cal_housing.data
    if [ ! -f "$data" ]; then
        archive=$folder/cal_housing.tgz
        echo "california.sh: downloading $url" >&2
        curl --fail --location --silent --show-error --max-time 300 --output "$archive.part" "$url" ||
            fail "the download failed; fetch $url by other means, unpack it, and name the folder of cal_housing.data in FUTAIE_DATA_DIR"
        echo "$sha256  $archive.part" | sha256sum --check --status || fail "$archive.part has not the sha256 of the published archive"
        mv "$archive.part" "$archive"
        tar -xzf "$archive" -C "$folder" CaliforniaHousing/cal_housing.data
    fi
fi

# Columns: longitude, latitude, housingMedianAge, totalRooms, totalBedrooms, population, households, medianIncome,
# medianHouseValue. 17 digits tell every double apart, so nothing is lost on the way to float32.
LC_ALL=C awk -F, -v OFS=, -v OFMT=%.17g -v expected="$rows" '
    BEGIN { print "MedInc,HouseAge,AveRooms,AveBedrms,Population,AveOccup,Latitude,Longitude,MedHouseVal" }
    NF != 9 { printf "california.sh: line %d has %d columns, not 9\n", NR, NF > "/dev/stderr"; bad = 1; exit 1 }
    { for (i = 1; i <= 9; i++) if ($i !~ /^ *-?[0-9.]+([eE][-+]?[0-9]+)? *\r?$/) {
          printf "california.sh: line %d, column %d is no number: %s\n", NR, i, $i > "/dev/stderr"; bad = 1; exit 1 } }
    $7 + 0 <= 0 { printf "california.sh: line %d has no households\n", NR > "/dev/stderr"; bad = 1; exit 1 }
    { print $8 + 0, $3 + 0, $4 / $7, $5 / $7, $6 + 0, $6 / $7, $2 + 0, $1 + 0, $9 / 100000 }
    END { if (!bad && NR != expected) { printf "california.sh: %d rows, not %d\n", NR, expected > "/dev/stderr"; exit 1 } }
' "$data" >"$out.part" || fail "$data is not the California housing data"
mv "$out.part" "$out"
