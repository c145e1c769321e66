#!/usr/bin/env bash
# From a text to a model that generates text, with the commands that a user would type.
# Usage: demo.sh [CORPUS]; the default corpus is the documentation of Python's standard library.
set -euo pipefail
cd "$(dirname "$0")/.."

show() {
    local word line=
    for word in "$@"; do
        case $word in *[!A-Za-z0-9_./=-]*) line+=" \"$word\"" ;; *) line+=" $word" ;; esac
    done
    printf '\n\033[1m$%s\033[0m\n' "$line"
    "$@"
}

corpus=${1:-}
if [ -n "$corpus" ] && [ ! -e "$corpus" ]; then
    echo "demo: $corpus: no such file; pass CORPUS=your-text.txt" >&2
    exit 1
fi
mkdir -p demo
rm -rf demo/tokenizer.json demo/data demo/run
if [ -z "$corpus" ]; then
    corpus=demo/corpus.txt
    show python examples/standard_library.py "$corpus"
fi

show pytok train "$corpus" --vocab 4096 -o demo/tokenizer.json --report demo/report.html
show pytok show demo/tokenizer.json --text "A text is split into tokens, and each token is a number."
show pytok shard "$corpus" -t demo/tokenizer.json -o demo/data
show gpt train --data demo/data --out demo/run --seconds 120
show gpt sample demo/run --prompt "The " --samples 2 --tokens 120
show gpt eval demo/run

printf '\nThe model is in demo/run, its loss in demo/run/loss.png, the tokenizer report in demo/report.html. Next:\n'
printf '  .venv/bin/gpt sample demo/run --prompt "Return the"\n'
