# shellcheck shell=bash
# Sourced: messages, and the installation of packages.

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "dev/$(basename "$0"): $*"
    exit 1
}

# Installs packages through apt, saying which. "a|b" stands for the first of a and b that the
# distribution has.
install_packages() {
    local root=() wanted alternatives package packages=()
    command -v apt-get >/dev/null ||
        die "missing: $*; there is no apt-get here, so please install these by hand"
    if (( EUID != 0 )); then
        command -v sudo >/dev/null ||
            die "missing: $*; please install these as root (there is no sudo here)"
        root=(sudo)
    fi

    say "installing: $*"
    # What is known of the packages may do even when it cannot be brought up to date.
    "${root[@]}" apt-get update -qq || say "apt-get update failed; installing from the lists at hand"
    for wanted; do
        IFS='|' read -ra alternatives <<<"$wanted"
        for package in "${alternatives[@]}"; do
            # Others may recommend a package that the distribution does not have.
            [[ $(LC_ALL=C apt-cache policy "$package") != *"Candidate: "[!\(]* ]] || break
        done
        packages+=("$package")
    done
    # The timeout is for an installation that is under way already, such as the system's own.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        "${packages[@]}" </dev/null >&2 || die "could not install: ${packages[*]}"
}
