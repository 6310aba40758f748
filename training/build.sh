#!/bin/sh
# From a data folder to the files that Gator ships: training/build.sh DATA RUN [options of train].
# RUN keeps the run; the files go to apps/sentiment/engines/weights/ (elsewhere with OUT=).
# Two stages; with --permissive among the options only the first, whose sources allow any use.
set -eu
cd "$(dirname "$0")/.."
data=$1 run=$2
shift 2
out=${OUT:-apps/sentiment/engines/weights}
python=${PYTHON:-python}
export OMP_NUM_THREADS=1
heads=heads.pt research=
case " $* " in
*" --permissive "*) "$python" -m training.train "$data" --out "$run" "$@" ;;
*)
    "$python" -m training.train "$data" --out "$run/first" --permissive "$@"
    "$python" -m training.train "$data" --out "$run" --begin "$run/first/last.pt" \
        --rate 1e-4 --frozen 1 --seed 2 "$@"
    heads=research.pt research=--research
    ;;
esac
"$python" -m training.heads "$data" "$run" $research
"$python" -m training.export "$run" "$out" --heads "$heads"
"$python" -m training.fit "$data" "$out" --heads "$run/$heads"
