# run-apache.sh - Apache httpd as run.sh starts it; sourced by it
# shellcheck shell=bash disable=SC2034,SC2154 # variables of run.sh

web_name=Apache
web_program=apache2
web_signal=WINCH # lets requests in flight end
web_check=(apache2 -t -f "$run/apache.conf")
web_command=(env TMPDIR="$run/web" apache2 -DFOREGROUND -f "$run/apache.conf")

# Apache refuses to serve as root, and another user may be locked out of this folder's parents. So it is another user who
# keeps that one privilege of root's: to open files whoever they belong to.
[ "$(id -u)" -ne 0 ] || web_command=(setpriv --reuid www-data --regid www-data --clear-groups
    --inh-caps "-all,+dac_override" --ambient-caps "-all,+dac_override" --pdeathsig "$web_signal" -- "${web_command[@]}")

# A connection takes a descriptor, and Apache asks for no more of them by itself.
ulimit -Sn 16384 2>/dev/null || ulimit -Sn hard

web_configuration() {
    cat <<EOT
Include $(quote "$here/apache-defaults.conf")
Define ROOT $(quote "$here")
Define BIND $(quote "$BIND")
Define HTTP_PORT $HTTP_PORT
Define HTTPS_PORT $HTTPS_PORT
Define TLS_CERT $(quote "$tls/cert.pem")
Define TLS_KEY $(quote "$tls/key.pem")
Define SOCKET $(quote "$socket")
Define RUN_DIR $(quote "$run/web")
Define ACCESS_LOG $(quote "$log/access.log")
Define ERROR_LOG $(quote "$log/error.log")
Include $(quote "$here/apache.conf")
EOT
}
