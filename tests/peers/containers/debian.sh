#!/bin/sh
# debian:bookworm-slim, made here: debian.sh FOLDER. MIRROR=... names a Debian mirror where debootstrap's own does not answer.
set -eu
root=$1
PATH=$PATH:/usr/sbin:/sbin

debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata bookworm "$root" ${MIRROR:-} >"$root.log" 2>&1 || {
    tail -n 20 "$root.log" >&2
    exit 1
}
# Security updates, as the images of Docker's library have them, from beside what debootstrap took the rest from.
mirror=$(awk '$1 == "deb" { sub("/$", "", $2); print $2; exit }' "$root/etc/apt/sources.list")
cat >"$root/etc/apt/sources.list" <<SOURCES
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb $mirror-security bookworm-security main
SOURCES

# "slim": pages that nobody reads in a container, neither those that are there nor those that come.
cat >"$root/etc/dpkg/dpkg.cfg.d/docker" <<EXCLUDED
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
EXCLUDED
find "$root/usr/share/doc" -mindepth 2 ! -name copyright -delete 2>/dev/null || true
for pages in groff info linda lintian locale man; do
    rm -rf "$root/usr/share/$pages"/*
done

# As the library's: no daemon is started by a package, no list of packages is kept.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
echo 'Acquire::Languages "none";' >"$root/etc/apt/apt.conf.d/docker-no-languages"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/log/*
: >"$root/etc/resolv.conf"
: >"$root/etc/machine-id"
