#!/bin/sh
# pages.sh FILE COPY: a file of www/ as it is served, and with it COPY.br and COPY.gz when it is a text that they make
# smaller. All have the time of FILE, by which the server knows that they are of one version; they are put there before
# COPY is, and each by a rename, so a server may be running on them.
set -eu

BYTES_MIN=500 # below, the names of the headers would be longer than what is saved

from=$1 to=$2
new=$(dirname "$to")/.new-$(basename "$to")
trap 'rm -f "$new"' EXIT

put() { # TARGET
    chmod 644 "$new"
    touch -r "$from" "$new"
    mv -f "$new" "$1"
}

press() { # ENDING COMMAND…
    ending=$1
    shift
    "$@" <"$from" >"$new"
    if [ "$(wc -c <"$new")" -lt "$(wc -c <"$from")" ]; then
        put "$to.$ending"
    else
        rm -f "$to.$ending"
    fi
}

case $from in
*.html | *.css | *.js | *.mjs | *.json | *.svg | *.txt | *.md | *.webmanifest)
    if [ "$(wc -c <"$from")" -ge "$BYTES_MIN" ]; then
        press br brotli -q 11 -c
        press gz gzip -9n -c
    else
        rm -f "$to.br" "$to.gz"
    fi
    ;;
esac
cp "$from" "$new"
put "$to"
