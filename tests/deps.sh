#!/bin/sh
# deps.sh build|check|bench|fuzz|lint: installs what that target needs and does not find, on Debian and Ubuntu;
# elsewhere it names the packages and stops. Says nothing when all is there.
set -eu

header() { echo "#include <$1>" | ${CC:-cc} -E - >/dev/null 2>&1; }
program() { command -v "$1" >/dev/null 2>&1; }
daemon() { PATH="$PATH:/usr/sbin" command -v "$1" >/dev/null 2>&1; }
header_cmocka() { printf '#include <stdarg.h>\n#include <stddef.h>\n#include <setjmp.h>\n#include <cmocka.h>\n' | ${CC:-cc} -E - >/dev/null 2>&1; }
library() { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q "$1 "; }
fuzzers() { echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null; }
module() { "${PYTHON:-python3}" -c "import $1" >/dev/null 2>&1; }

missing=
need() { # PACKAGE WHY PROBE…
    package=$1 why=$2
    shift 2
    "$@" && return
    missing="$missing $package"
    echo "prong needs $package: $why" >&2
}

case ${1:?} in
build)
    need libmicrohttpd-dev "the HTTP server library" header microhttpd.h
    need libgnutls28-dev "TLS" header gnutls/gnutls.h
    need libjansson-dev "JSON" header jansson.h
    need libsqlite3-dev "the store of jobs" header sqlite3.h
    need libcurl4-gnutls-dev "asking a server from the command line" header curl/curl.h
    need libinih-dev "the manifests of kernels" header ini.h
    need libpng-dev "pictures of the mandelbrot kernel" header png.h
    need zlib1g-dev "what answers and pictures are compressed with" header zlib.h
    need libseccomp-dev "the filter of system calls around workers" header seccomp.h
    need uthash-dev "hash tables" header uthash.h
    need brotli "pages that are sent in fewer bytes" program brotli
    ;;
check)
    need libcmocka-dev "the unit tests" header_cmocka
    need python3 "the system tests" test -x "${PYTHON:-/usr/bin/python3}"
    need python3-pytest "the system tests" module pytest
    need python3-jsonschema "comparing answers with /openapi.json" module jsonschema
    need python3-pytest-xdist "the system tests beside each other" module xdist
    need pkg-config "building the examples" program pkg-config
    need curl "the system tests" program curl
    need libcurl4 "fetching pages" library libcurl.so.4
    need openssl "certificates for the tests of TLS" program openssl
    need wrk "load during the fault tests" program wrk
    need slowhttptest "slow clients in the system tests" program slowhttptest
    need nginx-light "a proxy in front of us" program nginx
    need haproxy "another proxy in front of us" program haproxy
    need nodejs "the browser tests" program node
    need npm "what the browser tests are driven with" program npm
    need chromium "the browser tests" program chromium
    ;;
bench)
    need wrk "load" program wrk
    need nginx "the server that ours is measured against" daemon nginx
    need lighttpd "the other one" daemon lighttpd
    need primesieve-bin "the yardstick of primes" program primesieve
    ;;
fuzz)
    need clang "libFuzzer" program clang
    need libclang-rt-dev "what it links its fuzzers with" fuzzers
    ;;
lint)
    need clang-format "the form of the code" program clang-format
    need cppcheck "static analysis" program cppcheck
    need shellcheck "the shell scripts" program shellcheck
    need git "the list of files" program git
    ;;
esac
[ -n "$missing" ] || exit 0

if ! program apt-get; then
    echo "Please install:$missing (Debian's names; your system's may differ), then call make again." >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! program sudo; then
        echo "Please install as root: apt-get install$missing" >&2
        exit 1
    fi
    sudo=sudo
fi
echo "Installing with apt-get:$missing" >&2
# A server that a test starts for itself must not be started as a service too.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$sudo rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod 755 "$policy"
fi
$sudo apt-get update -qq >&2 || true
# shellcheck disable=SC2086 # a list of package names
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >&2
# Nor at the next start of the machine.
for service in nginx haproxy lighttpd; do
    case "$missing" in
    *" $service"*) ! program systemctl || $sudo systemctl disable -q "$service" 2>/dev/null || true ;;
    esac
done
