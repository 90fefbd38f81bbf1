#!/bin/sh
# deps.sh PACKAGE... - install the Debian packages that are missing, as root or by sudo; quick and silent when all are there.
# A web server that comes in this way must not start by itself and take port 80: a policy forbids it for the time of the installation,
# and what was not there before is not enabled at boot.
set -eu

if ! command -v dpkg-query >/dev/null; then
	echo "futaie: this is not Debian; install the equivalents of: $*" >&2
	exit 1
fi
missing=
for package in "$@"; do
	case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
	*' installed') ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "futaie: packages are missing; as root, run: apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
	sudo=sudo
fi

# One that was left behind, by a kill -9 for example, carries our mark and is taken over.
policy=/usr/sbin/policy-rc.d
mark='# made by futaie for the time of an installation'
if [ ! -e "$policy" ] || grep -qxF "$mark" "$policy"; then
	trap '$sudo rm -f "$policy"' EXIT
	trap 'exit 130' INT # a shell that a signal ends does not run its EXIT trap
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	printf '#!/bin/sh\n%s\nexit 101\n' "$mark" | $sudo tee "$policy" >/dev/null
	$sudo chmod 755 "$policy"
fi

echo "futaie: installing$missing"
# Lists that are too old to find a package are worth one update; a machine that has none needs it anyway.
install() {
	# shellcheck disable=SC2086 # a list of words
	DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 $missing >/dev/null
}
if ! install 2>/dev/null; then
	$sudo apt-get update -qq
	install
fi

if [ -d /run/systemd/system ]; then
	for service in lighttpd apache2; do
		case " $missing " in
		*" $service "*) $sudo systemctl disable --quiet "$service" ;;
		esac
	done
fi
