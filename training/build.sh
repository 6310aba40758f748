#!/bin/sh
# From a data folder to the files that Gator ships: training/build.sh DATA RUN [options of train].
# RUN keeps the run; the files go to apps/sentiment/engines/weights/ (elsewhere with OUT=).
# With --permissive among the options only from sources whose terms allow any use.
set -eu
cd "$(dirname "$0")/.."
data=$1 run=$2
shift 2
out=${OUT:-apps/sentiment/engines/weights}
python=${PYTHON:-python}
case " $* " in *" --permissive "*) terms=--permissive ;; *) terms= ;; esac
export OMP_NUM_THREADS=1
# Memory that a step hands back and asks for anew costs two fifths of the processor: glibc keeps it.
export MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=268435456
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184
"$python" -m training.train "$data" --out "$run" "$@"
"$python" -m training.heads "$data" "$run"
"$python" -m training.export "$run" "$out"
"$python" -m training.fit "$data" "$out" --heads "$run/heads.pt" $terms
