#!/bin/sh
# Prints the interpreter that makes .venv: the one given, or the first on PATH of those below. Else one sentence says
# what to install. Each is started, not only looked up: pyenv has shims of versions that it refuses to run, and Debian's
# python3 comes without ensurepip, without which venv stops half-way.
asked=$1
# Newest first; 3.14 last, because no test has run on it.
[ "$asked" ] || set -- python3.13 python3.12 python3.11 python3 python3.14
check='
import sys
version = sys.version_info[:2]
try:
    import ensurepip, venv
    pip = "pip"
except ImportError:
    pip = "no-pip"
print("%d.%d" % version, pip if (3, 11) <= version <= (3, 14) else "other")
'
for python; do
	found=$("$python" -c "$check" 2>/dev/null) || continue
	version=${found% *}
	case $found in
	*" pip") echo "$python"; exit ;;
	*" no-pip") halfway=${halfway:-$python} package=${package:-python$version-venv} ;;
	*) other="; $python is $version" ;;
	esac
done
if [ "$halfway" ]; then
	echo "make: $halfway cannot make .venv, because its ensurepip is missing; install it (Debian, Ubuntu: apt-get" \
		"install $package) and run make again" >&2
else
	echo "make: ${asked:-PATH} has no Python from 3.11 to 3.14$other; install one (Debian, Ubuntu: apt-get install" \
		"python3-venv; Fedora: dnf install python3.13; macOS: brew install python@3.13) or type" \
		"make PYTHON=/path/to/python" >&2
fi
exit 1
