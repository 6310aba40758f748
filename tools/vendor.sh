#!/bin/sh
# Copies front-end files from npm into static/vendor/NAME@VERSION/ with licence and SHA-256.
#   tools/vendor.sh chart.js 4.6.1 dist/chart.umd.min.js LICENSE.md
set -eu
name=$1 version=$2
shift 2
place=$(cd "$(dirname "$0")/.." && pwd)/static/vendor/$name@$version
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent "$name@$version" >/dev/null && tar xzf ./*.tgz)
mkdir -p "$place"
for file; do
    # Maps are not copied, so the line that names one would only be a 404 in every browser.
    sed '/^\/\/# sourceMappingURL=/d' "$folder/package/$file" >"$place/$(basename "$file")"
done
cd "$place"
rm -f SHA256SUMS
sha256sum -- * >"$folder/sums"
mv "$folder/sums" SHA256SUMS
