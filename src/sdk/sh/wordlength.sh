#!/bin/sh
# A kernel in nothing but sh: counts the words of its input by their length. It speaks Prong's frames on descriptor 3 with dd
# and od, byte by byte, which is slow; it shows that any language will do.
LC_ALL=C
export LC_ALL

kernel='{"name":"wordlength","version":"1","summary":"Counts words by their length.","example":"at_least=3",
"media_type":"application/json","flags":["pure","idempotent"],"takes_raw":true,"ops":["run"],"params":[{"name":"at_least",
"type":"integer","help":"Shorter words do not count","minimum":1,"maximum":1000,"default":1}]}'

take() { # COUNT: that many bytes, however they come
    dd bs=1 count="$1" <&3 2>/dev/null
}
bytes() { # COUNT: the same as numbers
    take "$1" | od -An -v -tu1
}
u32() { # NUMBER: as printf has its four bytes, the lowest first
    printf '\\%03o\\%03o\\%03o\\%03o' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255))
}
send() { # TYPE META [RAW]
    # shellcheck disable=SC2059 # the format is made of bytes
    { printf "PK\\001\\0$1$(u32 $((4 + ${#2} + ${#3})))$job$(u32 ${#2})" && printf %s "$2$3"; } >&3
}
member() { # NAME: what the meta says; enough for a kernel whose parameters are numbers
    printf %s "$meta" | sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p"
}
count() { # AT_LEAST: of the words that are read
    tr -s '[:space:]' '\n' | awk -v least="$1" 'length > 0 && length >= least { n[length]++; if (length > most) most = length }
        END { for (i = 1; i <= most; i++) if (n[i] > 0) { text = text sep "\"" i "\":" n[i]; sep = "," } print "{" text "}" }'
}
fail() { # SENTENCE
    take "$raw" >/dev/null
    send 7 "{\"message\":\"$1\",\"code\":\"failed\"}"
}
answer() {
    at_least=$(member at_least)
    case $(member kernel),$(member op),${at_least:=1} in
    wordlength,run,*[!0-9]*) fail 'at_least must be a number.' ;;
    wordlength,run,*) send 6 '{}' "$(take "$raw" | count "$at_least")" ;;
    *) fail 'There is no such kernel or op here.' ;;
    esac
}

while :; do
    # shellcheck disable=SC2046 # one word for each byte
    set -- $(bytes 16)
    [ $# -eq 16 ] || exit 0 # prong is gone
    [ "$1 $2 $3" = '80 75 1' ] || exit 76
    type=$4 body=$(($5 + $6 * 256 + $7 * 65536 + $8 * 16777216)) meta='' raw=0
    shift 8
    job=$(printf '\\%03o' "$@")
    if [ "$body" -gt 0 ]; then
        # shellcheck disable=SC2046
        set -- $(bytes 4)
        size=$(($1 + $2 * 256 + $3 * 65536 + $4 * 16777216))
        meta=$(take "$size") raw=$((body - 4 - size))
    fi
    case $type in
    1) send 2 "{\"kernels\":[$kernel]}" ;; # HELLO, READY
    3) answer ;;                           # JOB
    9) send '12' '' ;;                     # PING, PONG: 10 is 12 in octal
    11) exit 0 ;;                          # QUIET
    esac # a CANCEL comes too late: it has been answered
done
