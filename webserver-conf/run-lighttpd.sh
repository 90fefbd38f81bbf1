# run-lighttpd.sh - lighttpd as run.sh starts it; sourced by it
# shellcheck shell=bash disable=SC2034,SC2154 # variables of run.sh

web_name=lighttpd
web_program=lighttpd
web_signal=INT # lets requests in flight end
web_check=(lighttpd -tt -f "$run/lighttpd.conf")
web_command=(lighttpd -D -f "$run/lighttpd.conf")

web_configuration() {
    cat <<EOT
include $(quote "$here/defaults.conf")
var.root := $(quote "$here")
var.bind := $(quote "$BIND")
var.http_port := $HTTP_PORT
var.https_port := $HTTPS_PORT
var.tls_cert := $(quote "$tls/cert.pem")
var.tls_key := $(quote "$tls/key.pem")
var.socket := $(quote "$socket")
var.upload_dir := $(quote "$run/web")
var.access_log := $(quote "$log/access.log")
var.error_log := $(quote "$log/error.log")
include $(quote "$here/lighttpd.conf")
EOT
}
