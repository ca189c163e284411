#!/bin/sh
# Fetch what is needed to compile for Intel GPUs on a Linux machine that has none. Debian, as root; 75 MB, half a minute.
#
#   tools/gpu/setup.sh [DIR]     DIR: tools/gpu/.built by default, or $OCCVINO_GPU_TOOLS
#
# Intel's OpenCL driver and graphics compiler come from Debian's unstable release and are unpacked into DIR: nothing of the
# system is changed. MIRROR: a Debian mirror, if it is not the one that this machine uses.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
built=${1:-${OCCVINO_GPU_TOOLS:-$here/.built}}
stamp=$(cat "$here/layer.c" "$here/gpuc.py" "$here/setup.sh" | cksum)
if [ -f "$built/ready" ] && [ "$(cat "$built/ready")" = "$stamp" ]; then
    echo "ready: $built"
    exit 0
fi
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keys" ] || { echo "$keys is missing: this is for Debian; apt-get install debian-archive-keyring" >&2; exit 1; }
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -E '/debian/?$' | head -n 1)}
mirror=${mirror:-http://deb.debian.org/debian}

# An apt of its own, with empty lists and nothing installed, so that all that the driver needs is fetched with it.
# What else may stand in the folder is left alone.
apt=$built/apt
rm -rf "$apt" "$built/root" "$built/icd" "$built/ready"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$built/root"
: >"$apt/status"
echo "deb [signed-by=$keys] $mirror sid main" >"$apt/sources.list"
cat >"$apt/apt.conf" <<CONF
Dir::State "$apt"; Dir::State::lists "$apt/lists"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list"; Dir::Etc::sourceparts "/dev/null";
APT::Architecture "amd64"; APT::Architectures {"amd64";}; APT::Sandbox::User "root"; Acquire::Languages "none";
CONF
export APT_CONFIG="$apt/apt.conf"
apt-get -qq update
apt-get -qq -y --no-install-recommends --download-only -o Debug::NoLocking=1 \
    install intel-opencl-icd libigc2 intel-ocloc ocl-icd-libopencl1 libstdc++6 >/dev/null
for package in "$apt"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$built/root"
done
for name in intel-opencl-icd libigc2; do
    basename "$apt"/cache/archives/"$name"_*.deb .deb
done >"$built/versions"
rm -r "$apt"
mkdir -p "$built/icd"
echo "$built/root/usr/lib/x86_64-linux-gnu/intel-opencl/libigdrcl.so" >"$built/icd/intel.icd"
cc -O2 -Wall -Werror -fPIC -shared -o "$built/layer.so" "$here/layer.c"
cp "$here/gpuc.py" "$built/gpuc.py"
echo "$stamp" >"$built/ready"
echo "ready: $built, with $(tr '\n' ' ' <"$built/versions")"
