"""Start the server's script with its container, while skein's application master still registers with YARN.

Skein runs a script once its application master has registered. The master takes two to three seconds for that, about as long
as Jupyter takes for its imports. Here the two run side by side: YARN's own shell starts the script in the background. What
skein runs later tells the script where the application master is, and waits for the script's end. If YARN's shell did not
start the script, skein runs it as usual.
"""

from __future__ import annotations

import re
from pathlib import Path

import skein

from yarnspawner.common.early_start import REGISTRATION_VARIABLE
from yarnspawner.launch.specification import ENVIRONMENT_FILE

_MARK = "# -- The script of an early start"

# When netty, in skein's jar, loads OpenSSL, it creates a key and a certificate to learn whether OpenSSL takes them from Java's key
# managers. This takes a second of the processor. Skein's own key is in a file, which OpenSSL reads itself. If netty cannot create
# the certificate, it does without key managers (the static initializer of `OpenSsl`). It cannot if this class is not to be read.
# An empty file comes first on the class path.
_SLOW_TEST = "com/anaconda/skein/shaded/io/netty/handler/ssl/util/SelfSignedCertificate.class"

# Bash reads the file in $BASH_ENV before it runs a command ("Bash Startup Files" in its manual). YARN runs the command of
# each container with `/bin/bash -c`. The environment file has this part at its beginning, because a further file would
# have to be uploaded and fetched.
_AT_LAUNCH = f"""\
# YARN's shell reads this before it starts the application master. No other process has this variable.
if [ "${{BASH_ENV-}}" = {ENVIRONMENT_FILE} ]; then
    unset BASH_ENV
    # YARN's shell writes to the container's log folder.
    yarnspawner_log=$(readlink "/proc/$$/fd/1")
    case $yarnspawner_log:$BASH_EXECUTION_STRING in
    /*/*:*/bin/java\\ *com.anaconda.skein.ApplicationMaster*)
        if sed '1,/^{_MARK}$/d' {ENVIRONMENT_FILE} > .yarnspawner.sh && mkfifo -m 600 .yarnspawner.end; then
            (
                yarnspawner_log=${{yarnspawner_log%/*}}/yarnspawner.start.log
                exec < /dev/null >> "$yarnspawner_log" 2>&1
                unset CLASSPATH yarnspawner_log
                {REGISTRATION_VARIABLE}=$PWD/.yarnspawner.registration bash .yarnspawner.sh &
                echo "$BASHPID $!" > .yarnspawner.pids
                wait $!
                # Waits for its reader, the script that skein runs.
                echo $? > .yarnspawner.end
            ) &
        fi
        unset yarnspawner_log
        mkdir -p .yarnspawner.classes/{_SLOW_TEST.rpartition("/")[0]} && : > .yarnspawner.classes/{_SLOW_TEST} &&
            export CLASSPATH=.yarnspawner.classes:$CLASSPATH
        # Without a process in the background, the shell would do so by itself: YARN signals the container's first process.
        eval "exec $BASH_EXECUTION_STRING"
        ;;
    esac
    unset yarnspawner_log
    return 0
fi
"""

_HANDOVER = """\
if [ -p .yarnspawner.end ]; then
    # The script already runs, or its shell is about to start it on a busy node. It must not run twice.
    for _ in {1..600}; do
        read -r yarnspawner_shell yarnspawner_script 2> /dev/null < .yarnspawner.pids && break
        sleep 0.1
    done
    [ -n "$yarnspawner_script" ] || exit 137
    # From here on, its log has the name that skein gives to it.
    log=$(readlink "/proc/$$/fd/1")
    mv -f "${log%/*}/yarnspawner.start.log" "$log" && exec >> "$log" 2>&1
    for name in "${!SKEIN_@}"; do printf '%s=%s\\n' "$name" "${!name}"; done > .yarnspawner.registered
    mv -f .yarnspawner.registered .yarnspawner.registration
    trap 'kill "$yarnspawner_script"' TERM
    exec 8<> .yarnspawner.end
    # If its shell was killed, the script's exit status never arrives.
    until read -r -t 5 status <&8; do [ -e "/proc/$yarnspawner_shell/fd/0" ] || exit 137; done
    exit "$status"
fi
"""

# A script with these words uses what only skein's own run of it has.
_NEEDS_SKEIN = re.compile(r"SKEIN_|\bskein\b")


def start_early(specification: skein.ApplicationSpec, environment_path: str) -> skein.ApplicationSpec:
    """Make the application master's script start with its container, if it can, and return the specification.

    Args:
        specification: of the application; changed in place. Nothing is changed if the script mentions skein or its
            variables, or if the environment file is not among the application master's files.
        environment_path: path of the local file with the result of :func:`environment_file`; rewritten.
    """
    master = specification.master
    if not master.script or ENVIRONMENT_FILE not in master.files or _NEEDS_SKEIN.search(master.script):
        return specification
    file = Path(environment_path)
    environment = file.read_bytes()  # as text, a carriage return in a value would be lost
    if not environment.startswith(_AT_LAUNCH.encode()):  # a second attempt has the same script
        file.write_bytes(_AT_LAUNCH.encode() + environment + f"return 0\n{_MARK}\n{master.script}".encode())
    master.env["BASH_ENV"] = ENVIRONMENT_FILE
    master.script = _HANDOVER + master.script
    return specification
