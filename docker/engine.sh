# shellcheck shell=sh
# Chooses podman or docker, for the other scripts in this folder: sets `engine`, and defines `build_image`.
#
#     CONTAINER_ENGINE  podman or docker; by default the first of them that works

# Without systemd, for example in a container, podman needs other settings than its defaults. Its images then have a folder
# of their own, since a storage that another driver has made cannot be used.
podman_without_systemd() {
    [ -z "${CONTAINERS_CONF:-}" ] || return 0
    settings=/var/tmp/yarnspawner-podman
    mkdir -p "$settings"
    cat >"$settings/containers.conf" <<END
[containers]
default_ulimits = ["nofile=10000:10000", "nproc=10000:10000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
    export CONTAINERS_CONF="$settings/containers.conf" CONTAINERS_STORAGE_CONF="$settings/storage.conf"
    export BUILDAH_ISOLATION=chroot
    # vfs needs no support of the kernel, but copies a whole image for each layer.
    for driver in overlay vfs; do
        cat >"$settings/storage.conf" <<END
[storage]
driver = "$driver"
graphroot = "$settings/$driver"
runroot = "/run/yarnspawner-podman/$driver"
END
        if podman info >/dev/null 2>&1; then return 0; fi
    done
}

choose_engine() {
    reasons=
    for engine in ${CONTAINER_ENGINE:-podman docker}; do
        command -v "$engine" >/dev/null || continue
        if [ "$engine" = podman ] && [ ! -d /run/systemd/system ] && [ "$(id -u)" = 0 ]; then podman_without_systemd; fi
        if said=$("$engine" info 2>&1 >/dev/null); then return 0; fi
        reasons="$reasons ($engine: $(echo "$said" | tail -n 1))"
    done
    echo "${0##*/}: neither podman nor docker works here$reasons; on Debian, install them with: apt-get install podman runc" >&2
    return 3
}

# build_image TAG CONTAINERFILE ARGUMENTS...: build an image from the checkout.
build_image() {
    tag=$1 file=$2
    shift 2
    # Podman's own format has no HEALTHCHECK.
    if [ "$engine" = podman ]; then set -- --format docker "$@"; fi
    "$engine" build --tag "$tag" --file "$file" "$@" .
}
