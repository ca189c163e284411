#!/usr/bin/env bash
# Install and run the main job on what ships inside: convert, verify, run, draw. Arguments go to `occvino demo`.
. "$(dirname "$0")/setup.sh"
install convert
exec occvino demo "$@"
