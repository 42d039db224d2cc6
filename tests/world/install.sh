#!/bin/sh
# Installs what the tests need beside Rust: Prometheus, Postgres, Chromium with its driver, and a Python
# with AWS's service model, cfn-lint, moto (which brings openapi-spec-validator), schemathesis and axe (rules
# of accessibility, as a script). Does nothing that has been done already. The tests start servers of their
# own; one that the package of Postgres may start is left alone.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
venv=${CARGO_TARGET_DIR:-$here/../../target}/venv
# Of this one only the script in it is wanted, and nothing that it asks for.
alone='axe-playwright-python==0.1.8'
requirements='botocore==1.44.5 cfn-lint==1.58.0 moto[server,ecs]==5.2.5 schemathesis==4.32.5'

missing=
command -v prometheus >/dev/null || missing="$missing prometheus"
{ command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || missing="$missing postgresql"
{ command -v chromedriver && command -v chromium; } >/dev/null 2>&1 || missing="$missing chromium chromium-driver fonts-dejavu-core"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get -q update
    # shellcheck disable=SC2086 # several words on purpose
    $as_root apt-get -qy install --no-install-recommends $missing
fi

# The folder carries what it was made for, so that a new version makes it anew.
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$requirements $alone" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    # shellcheck disable=SC2086
    "$venv/bin/pip" install -q --disable-pip-version-check $requirements
    # shellcheck disable=SC2086
    "$venv/bin/pip" install -q --disable-pip-version-check --no-deps $alone
    printf '%s\n' "$requirements $alone" >"$venv/.installed"
fi
