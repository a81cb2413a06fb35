#!/usr/bin/env bash
# kube-apiserver, kube-controller-manager and kube-scheduler of Kubernetes 1.20.2 in WORK/bin: build.sh WORK. Root on Debian, with
# golang-go and dpkg-dev; the source package comes from the Debian mirror that apt is set up for. 5 minutes on 2 cores.
set -euo pipefail
work=$1
programs=(kube-apiserver kube-controller-manager kube-scheduler)
say() { echo "Kubernetes' control plane ($SECONDS s): $1" >&2; }

# --- the source package, by an apt of our own: the machine's lists and sources stay as they are ----------------------
say "its source package from Debian 12"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 2>/dev/null | grep -m 1 '/debian/\?$' || true)
[ -n "$mirror" ] || { say "apt is set up for no mirror of Debian"; exit 1; }
mkdir -p "$work/lists/partial" "$work/source"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$work/sources.list"
cat >"$work/apt.conf" <<APT
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/lists";
APT::Sandbox::User "root";
Acquire::Retries "3";
APT
export APT_CONFIG=$work/apt.conf
cd "$work/source"
apt-get update -qq
version=$(apt-cache showsrc kubernetes | awk '/^Version: 1\.20\./ {print $2; exit}')
[ -n "$version" ] || { say "the mirror has no source package of Kubernetes 1.20"; exit 1; }
apt-get source -qq --download-only "kubernetes=$version"

# --- unpacked where Go looked for packages before it had modules, since this one is older than strict modules --------
tree=$work/go/src/k8s.io/kubernetes
mkdir -p "${tree%/*}"
dpkg-source --extract --no-check ./*.dsc "$tree" >/dev/null
export GOPATH=$work/go GOCACHE=$work/cache GO111MODULE=off GOFLAGS= GOPROXY=off GOSUMDB=off GOTOOLCHAIN=local CGO_ENABLED=0
# The compiler takes memory rather than time: 1 GB a core at most.
export GOGC=400
cd "$tree"

# --- one generated file is not in the package: the API's description of itself ----------------------------------------
say "its generated code"
nice go build -o "$work/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
marked() { grep --recursive --files-with-matches --include='*.go' '+k8s:openapi-gen=' "$@" | grep -v _test.go | xargs --no-run-if-empty -n 1 dirname; }
packages=$({
    for staging in staging/src/k8s.io/*; do
        case ${staging##*/} in code-generator | sample-apiserver) ;; *) marked "$staging" | sed 's#^staging/src/#vendor/#' || true ;; esac
    done
    marked cmd pkg plugin
} | LC_ALL=C sort --unique | sed 's#^#k8s.io/kubernetes/#' | paste -sd,)
nice "$work/openapi-gen" --input-dirs "$packages" --output-package k8s.io/kubernetes/pkg/generated/openapi \
    --output-file-base zz_generated.openapi --go-header-file vendor/k8s.io/code-generator/hack/boilerplate.go.txt \
    --report-filename "$work/openapi-violations.txt"

# --- built with all cores, after whatever else this machine has to do --------------------------------------------------
say "its programs"
flags="-s -w"
for package in component-base/version client-go/pkg/version; do
    for value in gitVersion=v1.20.2 gitMajor=1 gitMinor=20 gitTreeState=archive gitCommit=debian buildDate=2021-01-13T00:00:00Z; do
        flags+=" -X k8s.io/kubernetes/vendor/k8s.io/$package.$value"
    done
done
mkdir "$work/bin"
# Without -trimpath, for which most of Go's own packages would be compiled anew.
nice go build -tags "providerless dockerless" -ldflags "$flags" -o "$work/bin/" "${programs[@]/#/k8s.io/kubernetes/cmd/}"
for program in "${programs[@]}"; do "$work/bin/$program" --version >/dev/null; done
say "built"
